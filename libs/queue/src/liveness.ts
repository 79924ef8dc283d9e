import { setTimeout as delay } from 'node:timers/promises';
import { connection } from '@keelson/postgres';
import type { Logger } from '@keelson/logger';
import { Client, type Pool } from 'pg';

/** Every living worker process holds the advisory lock (this class, hash of its id). */
const LOCK_CLASS = 0x6b65_6c73;

/** A dead host's connection is closed after 5 + 3 × 5 s, and its lock with it (tcp_keepalives_*). */
const KEEPALIVES = { tcp_keepalives_idle: '5', tcp_keepalives_interval: '5', tcp_keepalives_count: '3' };

/**
 * Shows the other workers that the worker `id` lives, until `signal` aborts: holds a lock on a connection of its own,
 * and takes it again when the connection is lost.
 */
export async function showLife(url: string, id: string, signal: AbortSignal, log: Logger) {
  while (!signal.aborted) {
    const client = new Client(connection(url, KEEPALIVES));
    const lost = new Promise<void>((resolve) => {
      client.on('error', () => resolve()).on('end', () => resolve());
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    try {
      await client.connect();
      await client.query('SELECT pg_advisory_lock($1, hashtext($2))', [LOCK_CLASS, id]);
      await lost;
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'cannot show that this worker lives');
    } finally {
      await client.end().catch(() => undefined);
    }
    if (!signal.aborted) await delay(1000, undefined, { signal }).catch(() => undefined);
  }
}

/** The ids of workers that hold jobs but do not live. */
export async function deadWorkers(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query(
    `SELECT DISTINCT locked_by AS id FROM graphile_worker._private_jobs
     WHERE locked_by IS NOT NULL AND NOT EXISTS (
       SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND classid::bigint = $1 AND objid::bigint = hashtext(locked_by)::bigint & 4294967295)`,
    [LOCK_CLASS],
  );
  return rows.map((row) => row.id);
}

/** Lets others take the jobs that these workers hold. */
export async function releaseJobs(pool: Pool, workers: string[]) {
  await pool.query('SELECT graphile_worker.force_unlock_workers($1)', [workers]);
}
