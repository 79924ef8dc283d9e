import type { Logger } from '@keelson/logger';
import { connection, reasonOf } from '@keelson/postgres';
import { Client, type Pool } from 'pg';
import { pause } from './pause.ts';

/** Every living worker process holds the advisory lock (this class, hash of its id). */
const LOCK_CLASS = 0x6b65_6c73;

/** Postgres closes the connection to a host that is gone after 5 + 3 × 5 s, and the lock goes with it. */
const NOTICE_DEATH = {
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '20000',
};

/**
 * Shows the other workers that the worker `id` lives, until `signal` aborts: holds a lock on a connection of its own,
 * and asks every second whether that still stands. One that is cut is replaced at once, one that was lost with the
 * database within 3 s of its return; one that falls silent within 5 s, while Postgres keeps its lock for 20.
 * @returns `shown` settles when the lock is first held, `ended` when the connection is closed
 */
export function showLife(url: string, id: string, signal: AbortSignal, log: Logger) {
  const shown = Promise.withResolvers<undefined>();
  const live = async () => {
    while (!signal.aborted) {
      const client = new Client({
        ...connection(url, NOTICE_DEATH),
        connectionTimeoutMillis: 2000,
        query_timeout: 2000,
      });
      const cut = new AbortController();
      const over = AbortSignal.any([signal, cut.signal]);
      client.on('error', () => cut.abort());
      let held = false;
      try {
        await client.connect();
        // Shared, since a lock that is taken again must not wait for a connection that is dying.
        await client.query('SELECT pg_advisory_lock_shared($1, hashtext($2))', [LOCK_CLASS, id]);
        held = true;
        shown.resolve(undefined);
        for (; !signal.aborted; await pause(1000, over)) await client.query('SELECT 1');
      } catch (error) {
        log.warn({ reason: reasonOf(error) }, 'cannot show that this worker lives');
        await pause(held ? 50 : 1000, signal);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  };
  return { id, shown: shown.promise, ended: live() };
}

/** Looks for workers that hold jobs but do not live. Lets others take the jobs of those that were missed twice in a row. */
export function deadWorkerSweep(pool: Pool, log: Logger) {
  let missed: string[] = [];
  return async () => {
    const before = missed;
    missed = []; // a look that fails is none
    missed = await deadWorkers(pool);
    const dead = missed.filter((id) => before.includes(id));
    if (dead.length === 0) return;
    log.warn({ workers: dead }, 'releasing the jobs of dead workers');
    await pool.query(
      `UPDATE graphile_worker._private_jobs SET locked_at = NULL, locked_by = NULL, last_error = $2
       WHERE locked_by = ANY($1)`,
      [dead, 'The worker that ran it died.'],
    );
  };
}

async function deadWorkers(pool: Pool): Promise<string[]> {
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
