import { createVerifier } from '@keelson/auth';
import { releaseOf } from '@keelson/config';
import { serve } from '@keelson/http';
import { createLogger } from '@keelson/logger';
import { createPool, migrationNames, schemaOf } from '@keelson/postgres';
import { createApp } from './app.ts';
import { readIdentityConfig } from './config.ts';
import { createDatabase } from './database.ts';
import { createSetUp } from './set-up.ts';

const config = readIdentityConfig();
const service = { service: 'identity-api', ...releaseOf(config) };
const log = createLogger({ service: service.service, level: config.LOG_LEVEL });
const pool = createPool(config.DATABASE_URL, { log });
const db = createDatabase(pool, schemaOf(config.DATABASE_URL));
const migrations = migrationNames(config.PRISMA_DIR);
const { verify } = createVerifier(config, log);
const { AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience, SIGNING_KEYS_SECRET: secret, clients } = config;
const tokens = { db, secret, issuer, audience };
const administrator = { email: config.ADMINISTRATOR_EMAIL, password: config.ADMINISTRATOR_PASSWORD };
const setUp = createSetUp(db, { secret, administrator, clients }, log);

await setUp.begin();
await serve(createApp({ service, log, pool, db, migrations, verify, tokens, notSetUp: setUp.reason }), {
  port: config.PORT,
  host: config.HOST,
  log,
  warmUpRequests: config.WARM_UP_REQUESTS,
  drainMs: config.DRAIN_MS,
  onClose: async () => {
    setUp.stop();
    await db.$disconnect();
    await pool.end();
  },
});
