import type { Verifier } from '@keelson/auth';
import { createApi, type Service } from '@keelson/http';
import type { Logger } from '@keelson/logger';
import { isUnavailable, missingMigration } from '@keelson/postgres';
import type { Pool } from 'pg';
import type { Database } from './database.ts';
import { exportOperations, exportProgress } from './exports.routes.ts';
import { workerOperations } from './workers.routes.ts';

export type AppOptions = {
  service: Service;
  log: Logger;
  pool: Pool;
  db: Database;
  /** The names of those that this build needs in its database. */
  migrations: string[];
  verify: Verifier['verify'];
};

export function createApp({ service, log, pool, db, migrations, verify }: AppOptions) {
  return createApi({
    service,
    log,
    verify,
    operations: [...workerOperations({ db }), ...exportOperations({ db })],
    internal: exportProgress({ db }),
    alsoDescribedAt: '/api/v1/openapi.json',
    ready: () => missingMigration(pool, migrations),
    isUnavailable,
  });
}
