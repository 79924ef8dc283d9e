import type { Logger } from '@keelson/logger';
import { reasonOf } from '@keelson/postgres';
import type { Pool } from 'pg';
import type { Envelope } from './contract.ts';
import type { JobHandler } from './handler.ts';

type GivenUp = { id: string; name: string; payload: unknown; attempts: number; reason: string };

/**
 * Tells of jobs that have no try left. A job that was told of stays in the table for people to see, put off for ever;
 * `graphile_worker.reschedule_jobs` with `run_at` and `attempts` starts it anew.
 */
export function givenUpSweep(pool: Pool, handlers: JobHandler[], log: Logger, signal: AbortSignal) {
  const byName = new Map(handlers.map((handler) => [handler.job.name, handler]));

  async function tell({ id, name, payload, attempts, reason }: GivenUp) {
    const { job, onGivenUp } = byName.get(name)!;
    const { data, requestId } = payload as Envelope;
    const jobLog = log.child({ requestId, job: name, jobId: id, attempt: attempts });
    await onGivenUp(job.payload.parse(data), reason, { log: jobLog, requestId, attempt: attempts, signal });
    await pool.query("UPDATE graphile_worker._private_jobs SET run_at = 'infinity' WHERE id = $1", [id]);
    jobLog.error({ reason }, 'job given up');
  }

  return async () => {
    const { rows } = await pool.query<GivenUp>(
      `SELECT jobs.id, identifier AS name, payload, attempts, last_error AS reason
       FROM graphile_worker._private_jobs AS jobs JOIN graphile_worker._private_tasks AS tasks ON tasks.id = task_id
       WHERE attempts >= max_attempts AND locked_at IS NULL AND run_at <> 'infinity' AND identifier = ANY($1)`,
      [[...byName.keys()]],
    );
    for (const job of rows)
      await tell(job).catch((error) =>
        log.warn({ job: job.name, jobId: job.id, reason: reasonOf(error) }, 'cannot tell that a job is given up'),
      );
  };
}
