import { createVerifier } from '@keelson/auth';
import { releaseOf } from '@keelson/config';
import { serve } from '@keelson/http';
import { createLogger } from '@keelson/logger';
import { createPool, migrationNames, schemaOf } from '@keelson/postgres';
import { createApp } from './app.ts';
import { readRosterConfig } from './config.ts';
import { createDatabase } from './database.ts';

const config = readRosterConfig();
const service = { service: 'roster-api', ...releaseOf(config) };
const log = createLogger({ service: service.service, level: config.LOG_LEVEL });
const pool = createPool(config.DATABASE_URL, { log });
const db = createDatabase(pool, schemaOf(config.DATABASE_URL));
const migrations = migrationNames(config.PRISMA_DIR);
const { verify, prepare } = createVerifier(config, log);

await prepare();
await serve(createApp({ service, log, pool, db, migrations, verify }), {
  port: config.PORT,
  host: config.HOST,
  log,
  warmUpRequests: config.WARM_UP_REQUESTS,
  drainMs: config.DRAIN_MS,
  onClose: async () => {
    await db.$disconnect();
    await pool.end();
  },
});
