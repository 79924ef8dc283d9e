import { once } from 'node:events';
import { createLogger } from '@keelson/logger';
import { z } from 'zod';
import { defineJob } from './contract.ts';
import { handle } from './handler.ts';
import { startWorker } from './worker.ts';

/** A job that lasts until it is interrupted. */
export const lasting = defineJob({ name: 'lasting', payload: z.object({}), maxAttempts: 2 });

/** A worker in a process of its own, for tests that kill it: node testing-worker.ts DATABASE_URL HEALTH_FILE. Says when a job starts. */
if (import.meta.main) {
  const [url, healthFile] = process.argv.slice(2);
  const worker = await startWorker({
    url: url!,
    healthFile: healthFile!,
    sweepMs: 200,
    log: createLogger({ service: 'testing-worker', level: 'error' }, process.stderr),
    handlers: [
      handle({
        job: lasting,
        async run(_, { attempt, signal }) {
          process.stdout.write(`started ${attempt}\n`);
          await once(signal, 'abort');
          signal.throwIfAborted();
        },
        onGivenUp: async () => undefined,
      }),
    ],
  });
  process.once('SIGTERM', () => worker.stop());
}
