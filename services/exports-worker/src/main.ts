import { createClient } from '@keelson/http-client';
import { createLogger } from '@keelson/logger';
import { startWorker } from '@keelson/queue';
import closeWithGrace from 'close-with-grace';
import { readExportsConfig } from './config.ts';
import { exportWorkersHandler } from './export-workers.ts';

const config = readExportsConfig();
const log = createLogger({ service: 'exports-worker', level: config.LOG_LEVEL });
const roster = createClient(config.ROSTER_API_URL);
const worker = await startWorker({
  url: config.DATABASE_URL,
  handlers: [exportWorkersHandler({ roster, mediaDir: config.MEDIA_DIR })],
  log,
  healthFile: config.HEALTH_FILE,
});
log.info({ version: config.SERVICE_VERSION, commit: config.SERVICE_COMMIT }, 'waiting for jobs');

const { close } = closeWithGrace({ delay: 10_000, logger: false }, async ({ err, signal }) => {
  if (err) log.fatal({ err }, 'closing because of an error');
  else log.info({ signal }, 'closing');
  await worker.stop();
  log.info('closed');
});
await worker.done.catch(async (error) => {
  log.fatal({ err: error }, 'the queue cannot go on');
  process.exitCode = 1;
  await close();
});
