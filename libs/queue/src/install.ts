import { connection, QUEUE_ROLE, withStructureLock, type Say } from '@keelson/postgres';
import { Logger, runMigrations } from 'graphile-worker';
import { Pool } from 'pg';

/** Makes or upgrades the queue's tables, owned by the queue's role. Idempotent; needs a superuser's URL. */
export async function installQueue(adminUrl: string, say: Say) {
  await withStructureLock(adminUrl, { say }, async () => {
    const admin = new Pool({ ...connection(adminUrl), max: 1 });
    const pgPool = new Pool({ ...connection(adminUrl, { role: QUEUE_ROLE }), max: 2 });
    pgPool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
    const { rows } = await admin.query('SELECT quote_ident(current_database()) AS database');
    try {
      // CREATE SCHEMA IF NOT EXISTS asks for this even where the schema exists; the members of the role must not keep it.
      await admin.query(`GRANT CREATE ON DATABASE ${rows[0].database} TO ${QUEUE_ROLE}`);
      await runMigrations({ pgPool, logger: new Logger(() => () => undefined) });
    } finally {
      await admin.query(`REVOKE CREATE ON DATABASE ${rows[0].database} FROM ${QUEUE_ROLE}`);
      await Promise.all([admin.end(), pgPool.end()]);
    }
  });
}
