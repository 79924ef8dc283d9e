import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@keelson/logger';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { defineJob } from './contract.ts';
import { enqueue } from './enqueue.ts';
import { handle, type JobContext, type JobHandler } from './handler.ts';
import { createTestQueue } from './testing.ts';
import { startWorker, type WorkerOptions } from './worker.ts';

const greet = defineJob({ name: 'greet', payload: z.object({ name: z.string() }), maxAttempts: 3 });
type Greet = { name: string };

let queue: Awaited<ReturnType<typeof createTestQueue>>;
let folder: string;
let healthFile: string;
let logged: Record<string, unknown>[];
const workers: Awaited<ReturnType<typeof startWorker>>[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'queue-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  queue = await createTestQueue();
  healthFile = join(folder, crypto.randomUUID());
  logged = [];
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  await queue.drop();
});

async function start(handlers: JobHandler[], options: Partial<WorkerOptions> = {}) {
  const log = createLogger(
    { service: 'test', level: 'info' },
    { write: (line: string) => void logged.push(JSON.parse(line)) },
  );
  const worker = await startWorker({ url: queue.url, handlers, log, healthFile, sweepMs: 100, ...options });
  workers.push(worker);
  return worker;
}

const handler = (run: (data: Greet, context: JobContext) => Promise<void>, onGivenUp = async () => undefined) =>
  handle<Greet>({ job: greet, run, onGivenUp });
const run = (sql: string, ...values: unknown[]) => queue.query(sql, values);
const add = (name: string) => enqueue(run, greet, { name }, { requestId: `request-of-${name}` });
const jobs = () => queue.query('SELECT attempts, locked_by, last_error, run_at FROM graphile_worker._private_jobs');
/** A failed job waits for seconds: this ends the wait. */
const hurry = () => queue.query("UPDATE graphile_worker._private_jobs SET run_at = now() WHERE run_at <> 'infinity'");
const sessions = async () =>
  (
    await queue.query(
      'SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()',
      [new URL(queue.url).username],
    )
  )[0].count;
const soon = { timeout: 10_000, interval: 20 };

test('a handler gets what was enqueued, the request it is for, and which try this is', async () => {
  const done: unknown[] = [];
  await start([handler(async (data, { requestId, attempt }) => void done.push({ data, requestId, attempt }))]);
  await add('Ada');
  await expect.poll(jobs, soon).toEqual([]);
  expect(done).toEqual([{ data: { name: 'Ada' }, requestId: 'request-of-Ada', attempt: 1 }]);
  expect(logged).toContainEqual(
    expect.objectContaining({ msg: 'job done', requestId: 'request-of-Ada', job: 'greet', attempt: 1 }),
  );
});

test('works with the rights of a service, not of a superuser', async () => {
  expect(await queue.query('SELECT rolsuper FROM pg_roles WHERE rolname = $1', [new URL(queue.url).username])).toEqual([
    { rolsuper: false },
  ]);
});

test('leaves signals to its process', async () => {
  const before = process.listenerCount('SIGTERM');
  await start([handler(async () => undefined)]);
  expect(process.listenerCount('SIGTERM')).toBe(before);
});

describe('a job that fails', () => {
  test('is tried as often as its contract says, then told of until that succeeds, and stays to be seen', async () => {
    const tries: number[] = [];
    const told: unknown[] = [];
    const onGivenUp = vi.fn(async (data: Greet, reason: string, { requestId, attempt }: JobContext) => {
      if (onGivenUp.mock.calls.length < 3) throw new Error('nobody listens');
      told.push({ data, reason, requestId, attempt });
    });
    const run = async (_: Greet, { attempt }: JobContext) => {
      tries.push(attempt);
      throw new Error(`try ${attempt} failed`);
    };
    await start([handle<Greet>({ job: greet, run, onGivenUp })]);
    await add('Ada');
    for (const tried of [1, 2, 3]) {
      await expect
        .poll(jobs, soon)
        .toMatchObject([{ attempts: tried, locked_by: null, last_error: `try ${tried} failed` }]);
      await hurry();
    }
    await expect.poll(jobs, soon).toMatchObject([{ attempts: 3, run_at: Infinity }]);
    expect(tries).toEqual([1, 2, 3]);
    expect(told).toEqual([{ data: { name: 'Ada' }, reason: 'try 3 failed', requestId: 'request-of-Ada', attempt: 3 }]);
    expect(onGivenUp).toHaveBeenCalledTimes(3);
    expect(logged.filter(({ msg }) => msg === 'job given up')).toHaveLength(1);
  });

  test('waits before it is tried again', async () => {
    await start([handler(() => Promise.reject(new Error('not yet')))]);
    await add('Ada');
    await expect.poll(jobs, soon).toMatchObject([{ attempts: 1, locked_by: null }]);
    const [job] = await jobs();
    expect(job.run_at.getTime()).toBeGreaterThan(Date.now() + 1000);
  });

  test('keeps no other from being told of', async () => {
    const told: string[] = [];
    const onGivenUp = async ({ name }: Greet) => {
      if (name === 'first') throw new Error('nobody listens');
      told.push(name);
    };
    await start([handle<Greet>({ job: greet, run: () => Promise.reject(new Error('broken')), onGivenUp })]);
    // What no contract reads, as another version may have added it.
    await run("SELECT graphile_worker.add_job('greet', 'null', max_attempts => 1)");
    await add('first');
    await add('second');
    await queue.query('UPDATE graphile_worker._private_jobs SET max_attempts = 1');
    await expect.poll(() => told, soon).toEqual(['second']);
  });
});

test('no more jobs run at once than allowed, over a bounded number of connections', async () => {
  let running = 0;
  const seen: number[] = [];
  const open = Promise.withResolvers<undefined>();
  const work = async () => {
    seen.push((running += 1));
    await open.promise;
    running -= 1;
  };
  await start([handler(work)], { concurrency: 3, sweepMs: 10 });
  for (let n = 0; n < 10; n += 1) await add(`${n}`);
  await expect.poll(() => running, soon).toBe(3);
  expect(await sessions()).toBeLessThanOrEqual(3 + 4 + 1);
  open.resolve(undefined);
  await expect.poll(jobs, soon).toEqual([]);
  expect(seen).toHaveLength(10);
  expect(Math.max(...seen)).toBe(3);
});

test('200 jobs by 3 workers: each is done once', async () => {
  const done: string[] = [];
  const work = handler(async ({ name }) => void done.push(name));
  for (let n = 0; n < 3; n += 1) await start([work], { concurrency: 4 });
  await Promise.all(Array.from({ length: 200 }, (_, n) => add(`${n}`)));
  await expect.poll(jobs, soon).toEqual([]);
  expect(done.map(Number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n));
});

test('the health file is touched only while the queue answers', async () => {
  const touched = () => statSync(healthFile).mtimeMs;
  await start([handler(async () => undefined)]);
  await expect.poll(touched, soon).toBeGreaterThan(0);
  const first = touched();
  await expect.poll(touched, soon).toBeGreaterThan(first);

  await queue.query('ALTER VIEW graphile_worker.jobs RENAME TO gone');
  await expect
    .poll(() => logged.filter(({ msg }) => msg === 'the queue does not answer').length, soon)
    .toBeGreaterThan(3);
  const last = touched();
  const complaints = logged.length;
  await expect.poll(() => logged.length, soon).toBeGreaterThan(complaints + 10);
  expect(touched()).toBe(last);

  await queue.query('ALTER VIEW graphile_worker.gone RENAME TO jobs');
  await expect.poll(touched, soon).toBeGreaterThan(last);
});

test('says so when the queue has ended by itself', async () => {
  const worker = await start([handler(async () => undefined)]);
  // What graphile-worker sends when a newer version has changed its tables: this one must not go on.
  const listens = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
  await expect.poll(() => queue.query(listens), soon).toHaveLength(1);
  const ended = expect(worker.done).rejects.toThrow('The queue has ended by itself: the log says why.');
  await queue.query(`NOTIFY "worker:migrate", '{"breaking":true,"migrationNumber":99}'`);
  await ended;
  expect(logged).toContainEqual(expect.objectContaining({ level: 'warn', msg: expect.stringContaining('breaking') }));
  process.exitCode = 0; // graphile-worker sets one
});

test('says why it cannot start, and leaves nothing behind', async () => {
  await queue.query('DROP SCHEMA graphile_worker CASCADE');
  await expect(start([handler(async () => undefined)])).rejects.toThrow('This database has no queue');
  await expect.poll(sessions, soon).toBe(0);
});

describe('stop', () => {
  const until = (signal: AbortSignal) => once(signal, 'abort').then(() => signal.throwIfAborted());

  test('interrupts a job, gives it back with the try it had, and leaves no connection', async () => {
    const begun = Promise.withResolvers<undefined>();
    const worker = await start([handler(async (_, { signal }) => (begun.resolve(undefined), until(signal)))]);
    await add('Ada');
    await begun.promise;
    const from = performance.now();
    await worker.stop();
    expect(performance.now() - from).toBeLessThan(1500);
    expect(await jobs()).toMatchObject([{ attempts: 0, locked_by: null, last_error: null }]);
    await expect.poll(sessions, soon).toBe(0);
    await worker.done;
  });

  test('lets a job end that is nearly done', async () => {
    const begun = Promise.withResolvers<undefined>();
    const worker = await start([handler(async () => (begun.resolve(undefined), delay(200)))]);
    await add('Ada');
    await begun.promise;
    await worker.stop();
    expect(await jobs()).toEqual([]);
  });

  test('an interrupted last try is not the end of the job', async () => {
    const given = vi.fn(async () => undefined);
    const begun = Promise.withResolvers<undefined>();
    const work = async (_: Greet, { signal }: JobContext) => (begun.resolve(undefined), until(signal));
    await add('Ada');
    await queue.query('UPDATE graphile_worker._private_jobs SET attempts = 2');
    const worker = await start([handler(work, given)]);
    await begun.promise;
    const done = vi.fn(async () => undefined);
    await start([handler(done, given)], { sweepMs: 5 });
    await worker.stop();
    await expect.poll(jobs, soon).toEqual([]);
    expect(done).toHaveBeenCalledOnce();
    expect(given).not.toHaveBeenCalled();
  });

  test('leaves a job to itself that does not listen', async () => {
    const begun = Promise.withResolvers<undefined>();
    const end = Promise.withResolvers<undefined>();
    const worker = await start([handler(async () => (begun.resolve(undefined), end.promise))]);
    await add('Ada');
    await begun.promise;
    const from = performance.now();
    await worker.stop();
    expect(performance.now() - from).toBeLessThan(3500);
    expect(await jobs()).toMatchObject([{ attempts: 0, locked_by: null }]);
    end.resolve(undefined);
  });
});
