import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportWorkers } from '@keelson/jobs';
import { enqueue } from '@keelson/queue';
import { createTestQueue } from '@keelson/queue/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { killExportsWorkers, startExportsWorker } from './testing-process.ts';
import { createRoster } from './testing-roster.ts';

const exportId = '01890000-0000-7000-8000-000000000001';
const soon = { timeout: 20_000, interval: 20 };

let queue: Awaited<ReturnType<typeof createTestQueue>>;
let roster: Awaited<ReturnType<typeof createRoster>>;
let folder: string;
let env: Record<string, string>;
beforeEach(async () => {
  queue = await createTestQueue();
  roster = await createRoster(1000, (n) => ({
    id: `${n}`,
    name: 'Ada',
    role: 'deckhand',
    email: 'a@b.c',
    hiredOn: '',
  }));
  roster.exports.set(exportId, { state: 'queued' });
  folder = mkdtempSync(join(tmpdir(), 'exports-worker-'));
  env = {
    DATABASE_URL: queue.url,
    ...roster.settings(),
    MEDIA_DIR: folder,
    HEALTH_FILE: join(folder, 'health'),
  };
});
afterEach(async () => {
  killExportsWorkers();
  await roster.close();
  await queue.drop();
  rmSync(folder, { recursive: true });
});

const add = () =>
  enqueue((sql, ...values) => queue.query(sql, values), exportWorkers, { exportId }, { requestId: 'request-1' });
const jobs = () => queue.query('SELECT attempts, locked_by, last_error, run_at FROM graphile_worker._private_jobs');
const exported = () => roster.exports.get(exportId);

test('does its jobs, in the name of the request that caused them, and ends with 0', async () => {
  await add();
  const worker = startExportsWorker(env);
  await expect.poll(jobs, soon).toEqual([]);
  const content = readFileSync(join(folder, 'exports', `${exportId}.csv`), 'utf8');
  expect(exported()).toEqual({ state: 'done', rowsDone: 1000, bytes: content.length });
  expect(new Set(roster.calls.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer the-token']));
  expect(new Set(roster.calls.map(({ requestId }) => requestId))).toEqual(new Set(['request-1']));
  const { code, output } = await worker.stop();
  expect(code).toBe(0);
  expect(output).toMatch(/"service":"exports-worker","requestId":"request-1".*"msg":"job done"/);
});

test('SIGTERM during a job: the job is given back within 2 s, without a trace', async () => {
  const held = Promise.withResolvers<undefined>();
  roster.intercept = ({ cursor }) =>
    cursor === '400' ? (held.resolve(undefined), new Promise(() => undefined)) : undefined;
  await add();
  const worker = startExportsWorker(env);
  await held.promise;
  const { code, ms } = await worker.stop();
  expect({ code, inTime: ms < 2000 }).toEqual({ code: 0, inTime: true });
  expect(await jobs()).toMatchObject([{ attempts: 0, locked_by: null, last_error: null }]);
  expect(readdirSync(join(folder, 'exports'))).toEqual([]);
});

test('SIGTERM while it starts is no failure', async () => {
  const worker = startExportsWorker(env);
  const sessions =
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'test_exports_worker'";
  await expect.poll(() => queue.query(sessions), soon).not.toEqual([]);
  const { code } = await worker.stop();
  expect(code).toBe(0);
});

describe('a job that cannot be done is tried, then told as failed with its reason', () => {
  const lastTry = () => queue.query('UPDATE graphile_worker._private_jobs SET attempts = max_attempts - 1');

  test('where the disk is full', async () => {
    await add();
    await lastTry();
    // The limit cuts a write short as a full disk does, and needs no disk to fill.
    startExportsWorker(env, `trap '' XFSZ; ulimit -f 16; exec "$@"`);
    await expect.poll(exported, soon).toEqual({
      state: 'failed',
      rowsDone: 0,
      reason: 'The file could not be written: file too large (EFBIG).',
    });
    await expect.poll(jobs, soon).toMatchObject([{ attempts: exportWorkers.maxAttempts, run_at: Infinity }]);
    expect(readdirSync(join(folder, 'exports'))).toEqual([]);
  });

  test('where the folder cannot be written', async () => {
    writeFileSync(join(folder, 'exports'), 'not a folder');
    await add();
    await lastTry();
    startExportsWorker(env);
    await expect.poll(exported, soon).toMatchObject({
      state: 'failed',
      reason: 'The file could not be written: file already exists (EEXIST).',
    });
  });
});

describe('ends with a sentence and a code', () => {
  test('where its configuration is bad', async () => {
    const { code, output } = await startExportsWorker({ ...env, ROSTER_API_URL: 'roster', DATABASE_URL: '' }).ended;
    expect(code).toBe(78);
    expect(output).toMatch(/DATABASE_URL is missing.*ROSTER_API_URL must be a URL/s);
  });

  test('where the database is away', async () => {
    const away = Object.assign(new URL(queue.url), { port: '1' }).href;
    const { code, output } = await startExportsWorker({ ...env, DATABASE_URL: away }).ended;
    expect(code).toBe(1);
    const lines = output.trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'fatal', msg: expect.stringContaining('ECONNREFUSED') });
  });

  test('where the database has no queue', async () => {
    await queue.query('DROP SCHEMA graphile_worker CASCADE');
    const { code, output } = await startExportsWorker(env).ended;
    expect(code).toBe(1);
    expect(output).toContain('This database has no queue: the service provision makes it, run it first.');
  });

  test('where the queue ends by itself', async () => {
    const worker = startExportsWorker(env);
    const listens = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
    await expect.poll(() => queue.query(listens), soon).toHaveLength(1);
    // What graphile-worker sends when a newer version has changed its tables.
    await queue.query(`NOTIFY "worker:migrate", '{"breaking":true,"migrationNumber":99}'`);
    const { code, output } = await worker.ended;
    expect(code).toBe(1);
    expect(output).toMatch(/"level":"fatal".*The queue has ended by itself/);
  });
});
