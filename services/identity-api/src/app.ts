import type { Verifier } from '@keelson/auth';
import { createApi, type Service } from '@keelson/http';
import type { Logger } from '@keelson/logger';
import { isUnavailable, missingMigration } from '@keelson/postgres';
import type { Pool } from 'pg';
import type { Issuer } from './access-token.ts';
import type { Database } from './database.ts';
import { sessionOperations } from './sessions.routes.ts';
import { tokenOperations } from './token.routes.ts';
import { userOperations } from './users.routes.ts';

export type AppOptions = {
  service: Service;
  log: Logger;
  pool: Pool;
  db: Database;
  /** The names of those that this build needs in its database. */
  migrations: string[];
  verify: Verifier['verify'];
  tokens: Issuer;
  /** Why nobody can have a token yet, as long as that is so. */
  notSetUp: () => string | undefined;
};

export function createApp({ service, log, pool, db, migrations, verify, tokens, notSetUp }: AppOptions) {
  return createApi({
    service,
    log,
    verify,
    operations: [...sessionOperations(tokens), ...tokenOperations(tokens), ...userOperations({ db })],
    ready: async () => (await missingMigration(pool, migrations)) ?? notSetUp(),
    isUnavailable,
  });
}
