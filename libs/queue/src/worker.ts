import { utimes, writeFile } from 'node:fs/promises';
import type { Logger } from '@keelson/logger';
import { createPool, reasonOf } from '@keelson/postgres';
import { Logger as WorkerLogger, run, type JobHelpers, type RunnerOptions } from 'graphile-worker';
import type { Pool } from 'pg';
import type { Envelope, JobContract } from './contract.ts';
import { givenUpSweep } from './given-up.ts';
import { deadWorkerSweep, showLife } from './liveness.ts';
import { pause } from './pause.ts';

/** `signal` aborts when this worker stops. */
export type JobContext = { log: Logger; requestId: string; attempt: number; signal: AbortSignal };

/**
 * A contract and what is done for it. Both functions are idempotent: what was done, or half done, may be done again,
 * and by two at once where a worker was taken for dead because it could not reach the database.
 */
export type JobHandler<T = unknown> = {
  job: JobContract<T>;
  /** Takes less than 4 hours: after that the job is everybody's again. */
  run: (data: T, context: JobContext) => Promise<void>;
  /** Told once no try is left, with the reason of the last failure; tried again until it succeeds. */
  onGivenUp: (data: T, reason: string, context: JobContext) => Promise<void>;
};

/** Ties a handler to the payload type of its contract. */
export const handle = <T>(handler: JobHandler<T>) => handler as JobHandler;

export type WorkerOptions = {
  url: string;
  handlers: JobHandler[];
  log: Logger;
  /** Touched at every look at the queue that is answered. */
  healthFile: string;
  concurrency?: number;
  /** How often dead workers' jobs and given-up ones are looked for. A dead worker's jobs run again after two looks. */
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

/** Without it graphile-worker would try to make one, for which a service has no right. */
async function assertQueue(pool: Pool) {
  const { rows } = await pool.query("SELECT to_regclass('graphile_worker.jobs') AS queue");
  if (!rows[0].queue) throw new Error('This database has no queue: the service provision makes it, run it first.');
}

function task({ job, run }: JobHandler, pool: Pool, log: Logger) {
  return async (payload: unknown, { job: row, abortSignal: signal }: JobHelpers) => {
    const { data, requestId } = payload as Envelope;
    const jobLog = log.child({ requestId, job: job.name, jobId: row.id, attempt: row.attempts });
    jobLog.info('job started');
    try {
      await run(job.payload.parse(data), { log: jobLog, requestId, attempt: row.attempts, signal });
      jobLog.info('job done');
    } catch (error) {
      jobLog.warn({ reason: reasonOf(error) }, signal.aborted ? 'job interrupted' : 'job failed');
      if (signal.aborted) await giveBack(pool, row.locked_by!, row.id);
      throw error;
    } finally {
      await untilItAnswers(pool, signal);
    }
  };
}

/** Lets another worker take this job, or all of this worker's, with the try that it had. Nor can it fail here any more. */
async function giveBack(pool: Pool, worker: string, job?: string) {
  await pool.query(
    `UPDATE graphile_worker._private_jobs SET attempts = attempts - 1, locked_at = NULL, locked_by = NULL
     WHERE locked_by = $1 AND id = coalesce($2, id)`,
    [worker, job],
  );
}

/** graphile-worker stops for good when it cannot write how a job ended, so it hears of that while the database answers. */
async function untilItAnswers(pool: Pool, signal: AbortSignal) {
  while (!signal.aborted) {
    const answers = await pool.query('SELECT 1').catch(() => undefined);
    if (answers) return;
    await pause(1000, signal);
  }
}

/** Runs `act` again and again until `signal` aborts. A failure is logged, and the next turn comes all the same. */
async function every(ms: number, signal: AbortSignal, log: Logger, complaint: string, act: () => Promise<void>) {
  while (!signal.aborted) {
    await act().catch((error) => log.warn({ reason: reasonOf(error) }, complaint));
    await pause(ms, signal);
  }
}
