import { Client } from 'pg';
import { withStructureLock } from './lock.ts';
import { connection, schemaOf } from './pool.ts';
import type { Say } from './ready.ts';

/** May add and take jobs, as `installQueue` of @keelson/queue grants it; every service role is a member. */
export const QUEUE_ROLE = 'queue_user';

/**
 * Gives every service its role, and its schema where its URL names one: `postgresql://role:password@host/db?schema=s`.
 * A role owns its schema and can read no other. Idempotent; passwords are set again, so that a changed one takes effect.
 */
export async function provision(adminUrl: string, serviceUrls: string[], say: Say) {
  await withStructureLock(adminUrl, { say }, async () => {
    const client = new Client(connection(adminUrl));
    await client.connect();
    try {
      await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
      await ensureRole(client, QUEUE_ROLE, 'NOLOGIN');
      for (const url of serviceUrls) await provisionService(client, url);
    } finally {
      await client.end();
    }
  });
}

async function provisionService(client: Client, url: string) {
  const { username, password } = new URL(url);
  const role = decodeURIComponent(username);
  await ensureRole(client, role, `LOGIN PASSWORD ${client.escapeLiteral(decodeURIComponent(password))}`);
  const name = client.escapeIdentifier(role);
  await client.query(`GRANT ${QUEUE_ROLE} TO ${name} WITH INHERIT TRUE, SET FALSE`);
  const schema = schemaOf(url);
  if (!schema) return;
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${client.escapeIdentifier(schema)} AUTHORIZATION ${name}`);
  await client.query(`ALTER ROLE ${name} SET search_path = ${client.escapeIdentifier(schema)}`);
}

async function ensureRole(client: Client, role: string, attributes: string) {
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role]);
  const verb = rowCount ? 'ALTER' : 'CREATE';
  await client.query(`${verb} ROLE ${client.escapeIdentifier(role)} ${attributes}`);
}
