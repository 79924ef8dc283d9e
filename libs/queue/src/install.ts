import { connection, QUEUE_ROLE, withStructureLock, type Say } from '@keelson/postgres';
import { Logger, runMigrations } from 'graphile-worker';
import { Pool } from 'pg';

/** Makes or upgrades the queue's tables, owned by the queue's role. Idempotent; needs a superuser's URL. */
export async function installQueue(adminUrl: string, say: Say) {
  await withStructureLock(adminUrl, { say }, async () => {
    const admin = open(adminUrl);
    const pgPool = open(adminUrl, { role: QUEUE_ROLE });
    try {
      const { rows } = await admin.query('SELECT quote_ident(current_database()) AS database');
      const privilege = `CREATE ON DATABASE ${rows[0].database}`;
      // CREATE SCHEMA IF NOT EXISTS asks for this even where the schema exists; the members of the role must not keep it.
      await admin.query(`GRANT ${privilege} TO ${QUEUE_ROLE}`);
      const migrated = runMigrations({ pgPool, logger: new Logger(() => () => undefined) });
      await migrated.finally(() => admin.query(`REVOKE ${privilege} FROM ${QUEUE_ROLE}`));
    } finally {
      await Promise.all([admin.end(), pgPool.end()]);
    }
  });
}

function open(url: string, settings?: Record<string, string>) {
  const pool = new Pool({ ...connection(url, settings), max: 2 });
  return pool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
}
