import { createTokenSource } from '@keelson/auth';
import { releaseOf } from '@keelson/config';
import { createClient } from '@keelson/http-client';
import { createLogger } from '@keelson/logger';
import { reasonOf } from '@keelson/postgres';
import { startWorker } from '@keelson/queue';
import closeWithGrace from 'close-with-grace';
import { readExportsConfig } from './config.ts';
import { exportWorkersHandler } from './export-workers.ts';

const config = readExportsConfig();
const log = createLogger({ service: 'exports-worker', level: config.LOG_LEVEL });
const roster = createClient(config.ROSTER_API_URL, { token: createTokenSource(config) });
const starting = startWorker({
  url: config.DATABASE_URL,
  handlers: [exportWorkersHandler({ roster, mediaDir: config.MEDIA_DIR })],
  log,
  healthFile: config.HEALTH_FILE,
});

closeWithGrace({ delay: 10_000, logger: false }, async ({ err, signal }) => {
  if (err) log.fatal({ err }, reasonOf(err));
  else log.info({ signal }, 'closing');
  await starting.then((worker) => worker.stop());
  log.info('closed');
});

const worker = await starting;
log.info(releaseOf(config), 'waiting for jobs');
await worker.done;
