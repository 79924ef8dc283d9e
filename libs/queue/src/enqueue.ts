import type { JobContract } from './contract.ts';

/**
 * Runs one statement inside the caller's transaction: Prisma's `$executeRawUnsafe`, or for a `pg` client
 * `(sql, ...values) => client.query(sql, values)`.
 */
export type Run = (sql: string, ...values: unknown[]) => Promise<unknown>;

/**
 * Adds a job in the caller's own transaction: it exists when that commits, and never did when it rolls back.
 * @param requestId the request that causes the job; its log lines and calls carry it
 * @throws ZodError before anything is written, for data that is not what the contract says
 */
export async function enqueue<T>(run: Run, job: JobContract<T>, data: T, { requestId }: { requestId: string }) {
  const payload = JSON.stringify({ data: job.payload.parse(data), requestId });
  await run(
    'SELECT FROM graphile_worker.add_job($1::text, $2::json, max_attempts => $3::int)',
    job.name,
    payload,
    job.maxAttempts,
  );
}
