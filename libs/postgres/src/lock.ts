import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { connection } from './pool.ts';
import type { Say } from './ready.ts';

/** The advisory lock that everything which changes the structure of a database takes: one at a time in one database. */
const STRUCTURE = 'keelson:structure';

/** lock_not_available, deadlock_detected */
const LOCKED = new Set(['55P03', '40P01']);

/** Whether a statement could not have a table because others use it, so that it may be tried again. */
export const isLocked = (error: unknown) => LOCKED.has((error as { code?: string }).code ?? '');

/**
 * Runs `act` while no other process changes this database's structure. The lock is asked for again and again rather
 * than waited for: a session that waits inside a query holds a snapshot, and CREATE INDEX CONCURRENTLY waits for
 * every older snapshot to go. It belongs to a session, so it ends with the process that holds it; or, where the process
 * was killed in the middle of a long statement of that session, once Postgres has noticed and has ended that, too.
 * @param act gets the session, in which all that may take long is to be done
 */
export async function withStructureLock<T>(
  url: string,
  { say, seconds = 600 }: { say: Say; seconds?: number },
  act: (session: Client) => Promise<T>,
): Promise<T> {
  const client = new Client(connection(url, { tcp_keepalives_idle: '10', client_connection_check_interval: '1s' }));
  let lost: Error | undefined;
  client.on('error', (error) => (lost = error));
  await client.connect();
  try {
    const start = performance.now();
    const elapsed = () => Math.round((performance.now() - start) / 1000);
    for (let said = 0; !(await tryLock(client));) {
      if (elapsed() >= seconds)
        throw new Error(
          `another process has been changing the database for ${seconds} s: find it in pg_locks (advisory)`,
        );
      if (elapsed() > said) say(`waiting for another process to finish its migrations (${(said = elapsed())} s)`);
      await delay(200);
    }
    const result = await act(client);
    if (lost) throw new Error(`the connection that held the migration lock was lost: ${lost.message}`);
    return result;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function tryLock(client: Client): Promise<boolean> {
  const { rows } = await client.query('SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked', [STRUCTURE]);
  return rows[0].locked;
}
