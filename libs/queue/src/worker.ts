import { EventEmitter } from 'node:events';
import { utimes, writeFile } from 'node:fs/promises';
import type { Logger } from '@keelson/logger';
import { createPool } from '@keelson/postgres';
import { Logger as WorkerLogger, run, type JobHelpers, type WorkerEvents } from 'graphile-worker';
import type { Pool } from 'pg';
import type { Envelope, JobContract } from './contract.ts';
import { deadWorkers, releaseJobs, showLife } from './liveness.ts';

export type JobContext = { log: Logger; requestId: string; attempt: number; signal: AbortSignal };

/** A contract and what is done for it. `run` is idempotent: a job may run again after it was done, or half done. */
export type JobHandler<T = unknown> = {
  job: JobContract<T>;
  run: (data: T, context: JobContext) => Promise<void>;
  /** Told once no try is left, with the reason of the last failure; tried again until it succeeds. */
  onGivenUp: (data: T, reason: string, context: Omit<JobContext, 'signal'>) => Promise<void>;
};

/** Ties a handler to the payload type of its contract. */
export const handle = <T>(handler: JobHandler<T>) => handler as JobHandler;

export type WorkerOptions = {
  url: string;
  handlers: JobHandler[];
  log: Logger;
  /** Touched every few seconds while this worker lives and its queue answers. */
  healthFile: string;
  concurrency?: number;
  /** How often dead workers' jobs and given-up ones are looked for. A dead worker's jobs run again after two looks. */
  sweepMs?: number;
};

/**
 * Takes jobs until `stop`. A job under way at `stop` is interrupted and given back, without a try used up. Rejects
 * `done` when the worker cannot go on.
 */
export async function startWorker({ url, handlers, log, healthFile, concurrency = 2, sweepMs = 5000 }: WorkerOptions) {
  const pool = createPool(url, { log, max: concurrency + 4 });
  const interrupted = new Map<string, number>();
  const stopping = new AbortController();
  const events = new EventEmitter() as WorkerEvents;
  const alive: Promise<void>[] = [];
  events.on('pool:create', ({ workerPool }) => alive.push(showLife(url, workerPool.id, stopping.signal, log)));

  const runner = await run({
    pgPool: pool,
    taskList: Object.fromEntries(handlers.map((handler) => [handler.job.name, task(handler, log, interrupted)])),
    concurrency,
    events,
    noHandleSignals: true,
    logger: new WorkerLogger(
      () => (level, message) => log[level === 'warning' ? 'warn' : level === 'error' ? 'error' : 'debug'](message),
    ),
    preset: { worker: { gracefulShutdownAbortTimeout: 500, pollInterval: 1000 } },
  });

  const sweeping = every(sweepMs, stopping.signal, log, sweeper(pool, handlers, log));
  const health = every(5000, stopping.signal, log, async () => {
    await pool.query('SELECT 1 FROM graphile_worker.jobs LIMIT 1');
    const now = new Date();
    await utimes(healthFile, now, now).catch(() => writeFile(healthFile, ''));
  });

  return {
    done: runner.promise,
    async stop() {
      await runner.stop().catch(() => undefined);
      for (const [id, attempts] of interrupted)
        await pool.query('SELECT graphile_worker.reschedule_jobs(ARRAY[$1::bigint], run_at => now(), attempts => $2)', [
          id,
          attempts,
        ]);
      stopping.abort();
      await Promise.all([...alive, sweeping, health]);
      await pool.end();
    },
  };
}

function task({ job, run }: JobHandler, log: Logger, interrupted: Map<string, number>) {
  return async (payload: unknown, { job: row, abortSignal }: JobHelpers) => {
    const { data, requestId } = payload as Envelope;
    const jobLog = log.child({ requestId, job: job.name, jobId: row.id, attempt: row.attempts });
    const signal = abortSignal ?? new AbortController().signal;
    jobLog.info('job started');
    try {
      await run(job.payload.parse(data), { log: jobLog, requestId, attempt: row.attempts, signal });
      jobLog.info('job done');
    } catch (error) {
      if (signal.aborted) interrupted.set(row.id, row.attempts - 1);
      jobLog.warn({ reason: (error as Error).message }, signal.aborted ? 'job interrupted' : 'job failed');
      throw error;
    }
  };
}

/** Gives dead workers' jobs back once they were missed twice in a row, and ends jobs that have no try left. */
function sweeper(pool: Pool, handlers: JobHandler[], log: Logger) {
  let missed = new Set<string>();
  return async () => {
    const dead = await deadWorkers(pool);
    const gone = dead.filter((id) => missed.has(id));
    missed = new Set(dead);
    if (gone.length > 0) {
      log.warn({ workers: gone }, 'releasing the jobs of dead workers');
      await releaseJobs(pool, gone);
    }
    await endGivenUp(pool, handlers, log);
  };
}

/** A job that was given up and told stays in the table for people to see, put off for ever. */
async function endGivenUp(pool: Pool, handlers: JobHandler[], log: Logger) {
  const byName = new Map(handlers.map((handler) => [handler.job.name, handler]));
  const { rows } = await pool.query(
    `SELECT jobs.id, identifier, payload, last_error, attempts
     FROM graphile_worker._private_jobs AS jobs JOIN graphile_worker._private_tasks AS tasks ON tasks.id = task_id
     WHERE attempts >= max_attempts AND locked_at IS NULL AND run_at <> 'infinity' AND identifier = ANY($1)`,
    [[...byName.keys()]],
  );
  for (const { id, identifier, payload, last_error, attempts } of rows) {
    const { data, requestId } = payload as Envelope;
    const { job, onGivenUp } = byName.get(identifier)!;
    const jobLog = log.child({ requestId, job: identifier, jobId: id, attempt: attempts });
    const reason = last_error ?? 'The worker that ran it died, each time.';
    jobLog.error({ reason }, 'job given up');
    await onGivenUp(job.payload.parse(data), reason, { log: jobLog, requestId, attempt: attempts });
    await pool.query("UPDATE graphile_worker._private_jobs SET run_at = 'infinity' WHERE id = $1", [id]);
  }
}

/** Runs `act` again and again until `signal` aborts. A failure is logged, and the next turn comes all the same. */
async function every(ms: number, signal: AbortSignal, log: Logger, act: () => Promise<void>) {
  while (!signal.aborted) {
    await act().catch((error) => log.warn({ reason: error.message }, 'the queue does not answer'));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}
