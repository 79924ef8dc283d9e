import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@keelson/logger';
import { createPool } from '@keelson/postgres';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { enqueue } from './enqueue.ts';
import { handle, type JobHandler } from './handler.ts';
import { deadWorkerSweep } from './liveness.ts';
import { createNetwork } from './testing-network.ts';
import { lasting } from './testing-worker.ts';
import { createTestQueue } from './testing.ts';
import { startWorker, type WorkerOptions } from './worker.ts';

const log = createLogger({ service: 'test', level: 'silent' });

let queue: Awaited<ReturnType<typeof createTestQueue>>;
let folder: string;
const workers: Awaited<ReturnType<typeof startWorker>>[] = [];
const processes: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'queue-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  queue = await createTestQueue();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  processes.splice(0).forEach((child) => child.kill('SIGKILL'));
  await queue.drop();
});

async function start(handler: Partial<JobHandler>, options: Partial<WorkerOptions> = {}) {
  const handlers = [handle({ job: lasting, run: async () => undefined, onGivenUp: async () => undefined, ...handler })];
  const worker = await startWorker({ url: queue.url, handlers, log, healthFile: join(folder, 'health'), ...options });
  workers.push(worker);
  return worker;
}

/** Starts a worker in a process of its own; `started` is what it says when it begins a job. */
function startProcess() {
  const args = [join(import.meta.dirname, 'testing-worker.ts'), queue.url, join(folder, 'health-of-process')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(child);
  return { child, started: once(child.stdout, 'data').then(String) };
}

const add = () => enqueue((sql, ...values) => queue.query(sql, values), lasting, {}, { requestId: 'r' });
const jobs = () => queue.query('SELECT attempts, locked_by, last_error, run_at FROM graphile_worker._private_jobs');
const LIFE = `FROM pg_locks JOIN pg_database AS db ON db.oid = database
  WHERE locktype = 'advisory' AND granted AND datname = current_database()`;
const lives = async () => (await queue.query(`SELECT ${LIFE}`)).length;
const soon = { timeout: 20_000, interval: 20 };

test("a killed worker's job is taken over within 35 s", { timeout: 60_000 }, async () => {
  const attempts: number[] = [];
  await add();
  const { child, started } = startProcess();
  expect(await started).toBe('started 1\n');
  await start({ run: async (_, { attempt }) => void attempts.push(attempt) });
  child.kill('SIGKILL');
  const from = performance.now();
  await expect.poll(jobs, { timeout: 40_000 }).toEqual([]);
  expect(performance.now() - from).toBeLessThan(35_000);
  expect(attempts).toEqual([2]);
});

test('a job whose worker died at every try is given up', async () => {
  await add();
  for (const attempt of [1, 2]) {
    const { child, started } = startProcess();
    expect(await started).toBe(`started ${attempt}\n`);
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const run = vi.fn(async () => undefined);
  const reasons: string[] = [];
  await start({ run, onGivenUp: async (_, reason) => void reasons.push(reason) }, { sweepMs: 100 });
  await expect.poll(jobs, soon).toMatchObject([{ attempts: 2, locked_by: null, run_at: Infinity }]);
  expect(reasons).toEqual(['The worker that ran it died.']);
  expect(run).not.toHaveBeenCalled();
});

test('SIGTERM: the process gives its job back and ends by itself', async () => {
  await add();
  const { child, started } = startProcess();
  await started;
  const from = performance.now();
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(performance.now() - from).toBeLessThan(2000);
  expect(await jobs()).toMatchObject([{ attempts: 0, locked_by: null }]);
});

test('a living worker keeps its job, also when the connection that shows its life is cut', async () => {
  const begun = Promise.withResolvers<undefined>();
  const end = Promise.withResolvers<undefined>();
  const sweepMs = 60_000; // The looks are this test's: of two in a row, only the first may follow right after a cut.
  await start({ run: async () => (begun.resolve(undefined), end.promise) }, { sweepMs });
  await add();
  await begun.promise;
  const other = vi.fn(async () => undefined);
  await start({ run: other }, { sweepMs });
  await expect.poll(lives, soon).toBe(2);

  const pool = createPool(queue.url, { log });
  const look = deadWorkerSweep(pool, log);
  for (let cut = 0; cut < 4; cut += 1) {
    expect(await queue.query(`SELECT pg_terminate_backend(pid, 20000) ${LIFE}`)).toHaveLength(2);
    await look();
    await expect.poll(lives, soon).toBe(2);
    await look();
  }
  await pool.end();
  expect(other).not.toHaveBeenCalled();
  expect(await jobs()).toMatchObject([{ attempts: 1, locked_by: expect.any(String) }]);
  end.resolve(undefined);
  await expect.poll(jobs, soon).toEqual([]);
});

test('a worker takes no job before it shows life', async () => {
  const network = await createNetwork(queue.url);
  const asksForLife = (startup: string) => startup.includes('tcp_keepalives_idle');
  network.admit((startup) => !asksForLife(startup));
  const run = vi.fn(async () => undefined);
  const lines: string[] = [];
  const warned = createLogger({ service: 'test', level: 'warn' }, { write: (line: string) => void lines.push(line) });
  await add();
  const worker = await start({ run }, { url: network.url, log: warned });
  await expect.poll(() => lines.join(''), soon).toContain('cannot show that this worker lives');
  expect(run).not.toHaveBeenCalled();
  network.admit(() => true);
  await expect.poll(jobs, soon).toEqual([]);
  expect(run).toHaveBeenCalledOnce();
  await worker.stop();
  await network.close();
});
