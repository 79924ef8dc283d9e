import { utimes, writeFile } from 'node:fs/promises';
import type { Logger } from '@keelson/logger';
import { createPool, reasonOf } from '@keelson/postgres';
import { Logger as WorkerLogger, run, type RunnerOptions } from 'graphile-worker';
import type { Pool, PoolClient } from 'pg';
import { givenUpSweep } from './given-up.ts';
import type { JobHandler } from './handler.ts';
import { deadWorkerSweep, showLife } from './liveness.ts';
import { pause } from './pause.ts';
import { giveBack, task } from './task.ts';

export type WorkerOptions = {
  url: string;
  handlers: JobHandler[];
  log: Logger;
  /** Touched at every look at the queue that is answered. */
  healthFile: string;
  concurrency?: number;
  /**
   * How often dead workers' jobs and given-up ones are looked for. Two looks release a dead worker's jobs: 11 s at most
   * after its process died, 31 s after its host did. A living worker whose connection is cut is safe while looks are
   * more than 3 s apart, unless each of the two comes right after a cut of its own.
   */
  sweepMs?: number;
};

/** A job under way at `stop` has this long to end by itself, and is then interrupted. */
const GRACE_MS = 500;
/** One that does not hear of it has this long until it is left to itself. */
const LEAVE_MS = 2000;
const STOP_MS = 4000;

/**
 * Takes jobs until `stop`, which interrupts a job under way, gives it back without a try used up, and takes 4 s at most.
 * `done` rejects when the worker cannot go on; a database that is away for a while is no reason.
 */
export async function startWorker({ url, handlers, log, healthFile, concurrency = 2, sweepMs = 5000 }: WorkerOptions) {
  const pool = createPool(url, { log, max: concurrency + 4 });
  // A query that timed out is still under way on its connection, which graphile-worker would hand on to the next one.
  pool.on('release', (_, client) => void (isBusy(client) && client.end()));
  const stopping = new AbortController();
  const { signal } = stopping;
  let life: ReturnType<typeof showLife> | undefined;

  const options: RunnerOptions = {
    pgPool: pool,
    taskList: Object.fromEntries(handlers.map((handler) => [handler.job.name, task(handler, pool, log)])),
    concurrency,
    noHandleSignals: true,
    logger: new WorkerLogger(() => (level, message, meta) => {
      if (!meta?.['failure']) log[level === 'warning' ? 'warn' : level === 'error' ? 'error' : 'debug'](message);
    }),
    preset: {
      plugins: [
        {
          name: 'liveness',
          worker: {
            hooks: {
              // A job that is taken before its worker shows life would look like a dead one's.
              async startWorker(_, { worker: { workerPool } }) {
                life ??= showLife(url, workerPool.id, signal, log);
                await Promise.race([life.shown, workerPool.abortPromise.catch(() => undefined)]);
              },
            },
          },
        },
      ],
      worker: {
        pollInterval: 1000,
        gracefulShutdownAbortTimeout: GRACE_MS,
        // How jobs ended is written in batches, as graphile-worker lets errors of a single one go unhandled.
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  };
  const runner = await assertQueue(pool)
    .then(() => run(options))
    .catch(async (error) => {
      await pool.end();
      throw error;
    });

  const loops = [
    every(sweepMs, signal, log, 'cannot look for dead workers', deadWorkerSweep(pool, log)),
    every(sweepMs, signal, log, 'cannot look for given-up jobs', givenUpSweep(pool, handlers, log, signal)),
    every(sweepMs, signal, log, 'the queue does not answer', async () => {
      await pool.query('SELECT FROM graphile_worker.jobs LIMIT 1');
      const now = new Date();
      await utimes(healthFile, now, now).catch(() => writeFile(healthFile, ''));
    }),
  ];
  let stopped: Promise<void> | undefined;
  const close = async () => {
    await Promise.race([runner.stop().catch(() => undefined), pause(LEAVE_MS)]);
    if (life) await giveBack(pool, life.id).catch(() => undefined);
    stopping.abort();
    await Promise.all([...loops, life?.ended]);
    await pool.end();
  };
  return {
    done: runner.promise.then(() => {
      if (!stopped) throw new Error('The queue has ended by itself: the log says why.');
    }),
    stop: () => (stopped ??= Promise.race([close(), pause(STOP_MS)])),
  };
}

const isBusy = (client: PoolClient) => !(client as PoolClient & { readyForQuery: boolean }).readyForQuery;

/** Without it graphile-worker would try to make one, for which a service has no right. */
async function assertQueue(pool: Pool) {
  const { rows } = await pool.query("SELECT to_regclass('graphile_worker.jobs') AS queue");
  if (!rows[0].queue) throw new Error('This database has no queue: the service provision makes it, run it first.');
}

/** Runs `act` again and again until `signal` aborts. A failure is logged, and the next turn comes all the same. */
async function every(ms: number, signal: AbortSignal, log: Logger, complaint: string, act: () => Promise<void>) {
  while (!signal.aborted) {
    await act().catch((error) => log.warn({ reason: reasonOf(error) }, complaint));
    await pause(ms, signal);
  }
}
