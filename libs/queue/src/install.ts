import { connection, QUEUE_ROLE, withStructureLock, type Say } from '@keelson/postgres';
import { Logger, runMigrations } from 'graphile-worker';
import { Pool } from 'pg';

/**
 * Makes or upgrades the queue, and lets the services add and take jobs. The queue stays the superuser's: whoever owned
 * its functions could run code as any service that calls them. Idempotent; needs a superuser's URL.
 */
export async function installQueue(adminUrl: string, say: Say) {
  await withStructureLock(adminUrl, { say }, async () => {
    const pgPool = new Pool({ ...connection(adminUrl), max: 2 });
    pgPool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
    try {
      await runMigrations({ pgPool, logger: new Logger(() => () => undefined) });
      await pgPool.query(GRANTS);
    } finally {
      await pgPool.end();
    }
  });
}

/**
 * Its tables have row-level security and no policy, so that without one their owner alone sees rows. A policy that is there
 * stays: to make one takes the table from everybody, and workers are at it.
 */
const GRANTS = `
  GRANT USAGE ON SCHEMA graphile_worker TO ${QUEUE_ROLE};
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA graphile_worker TO ${QUEUE_ROLE};
  REVOKE INSERT, UPDATE, DELETE ON graphile_worker.migrations FROM ${QUEUE_ROLE};
  GRANT USAGE ON ALL SEQUENCES IN SCHEMA graphile_worker TO ${QUEUE_ROLE};
  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA graphile_worker TO ${QUEUE_ROLE};
  DO $$ DECLARE name regclass; BEGIN
    FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'graphile_worker'::regnamespace AND relrowsecurity
      AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'services') LOOP
      EXECUTE format('CREATE POLICY services ON %s TO ${QUEUE_ROLE} USING (true) WITH CHECK (true)', name);
    END LOOP;
  END $$;`;
