import { createLogger } from '@keelson/logger';
import { createPool } from '@keelson/postgres';
import type { Pool } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deadWorkerSweep, showLife } from './liveness.ts';
import { createTestQueue } from './testing.ts';

const log = createLogger({ service: 'test', level: 'silent' });

let queue: Awaited<ReturnType<typeof createTestQueue>>;
let pool: Pool;
beforeEach(async () => {
  queue = await createTestQueue();
  pool = createPool(queue.url, { log });
  for (const worker of ['dead', 'living']) {
    await queue.query("SELECT graphile_worker.add_job('greet', job_key => $1)", [worker]);
    await queue.query('UPDATE graphile_worker._private_jobs SET locked_at = now(), locked_by = $1 WHERE key = $1', [
      worker,
    ]);
  }
});
afterEach(async () => {
  await pool.end();
  await queue.drop();
});

const holders = async () =>
  (await queue.query('SELECT locked_by, last_error FROM graphile_worker._private_jobs ORDER BY key')) as unknown;
const held = [
  { locked_by: 'dead', last_error: null },
  { locked_by: 'living', last_error: null },
];
const released = [{ locked_by: null, last_error: 'The worker that ran it died.' }, held[1]];

test('the jobs of a worker that is missed twice in a row are released, those of a living one are not', async () => {
  const stop = new AbortController();
  const life = showLife(queue.url, 'living', stop.signal, log);
  await life.shown;
  const sweep = deadWorkerSweep(pool, log);
  await sweep();
  expect(await holders()).toEqual(held);
  await sweep();
  expect(await holders()).toEqual(released);
  await sweep();
  expect(await holders()).toEqual(released);
  stop.abort();
  await life.ended;
});

test('a look that fails counts as none, nor does one that was followed by a sign of life', async () => {
  const sweep = deadWorkerSweep(pool, log);
  await sweep();
  await queue.query('ALTER TABLE graphile_worker._private_jobs RENAME TO away');
  await expect(sweep()).rejects.toThrow('does not exist');
  await queue.query('ALTER TABLE graphile_worker.away RENAME TO _private_jobs');
  await sweep();
  expect(await holders()).toEqual(held);

  const stop = new AbortController();
  const lives = ['dead', 'living'].map((id) => showLife(queue.url, id, stop.signal, log));
  await Promise.all(lives.map(({ shown }) => shown));
  await sweep();
  stop.abort();
  await Promise.all(lives.map(({ ended }) => ended));
  await sweep();
  expect(await holders()).toEqual(held);
});

test('a lock in another database is no sign of life in this one', async () => {
  const other = await createTestQueue();
  const stop = new AbortController();
  const life = showLife(other.url, 'dead', stop.signal, log);
  await life.shown;
  const sweep = deadWorkerSweep(pool, log);
  await sweep();
  await sweep();
  expect(await holders()).toMatchObject([{ locked_by: null }, { locked_by: null }]);
  stop.abort();
  await life.ended;
  await other.drop();
});
