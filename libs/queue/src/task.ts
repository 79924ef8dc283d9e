import type { Logger } from '@keelson/logger';
import { reasonOf } from '@keelson/postgres';
import type { JobHelpers } from 'graphile-worker';
import type { Pool } from 'pg';
import type { Envelope } from './contract.ts';
import type { JobHandler } from './handler.ts';
import { pause } from './pause.ts';

/** What graphile-worker calls for a job of this handler. */
export function task({ job, run }: JobHandler, pool: Pool, log: Logger) {
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
export async function giveBack(pool: Pool, worker: string, job?: string) {
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
