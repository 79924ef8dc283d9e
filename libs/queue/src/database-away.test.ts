import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@keelson/embedded-postgres';
import { createLogger } from '@keelson/logger';
import { connection, provision, waitForPostgres } from '@keelson/postgres';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { defineJob } from './contract.ts';
import { enqueue } from './enqueue.ts';
import { handle, type JobHandler } from './handler.ts';
import { installQueue } from './install.ts';
import { createNetwork } from './testing-network.ts';
import { createTestQueue } from './testing.ts';
import { startWorker } from './worker.ts';

const greet = defineJob({ name: 'greet', payload: z.object({ name: z.string() }), maxAttempts: 3 });
const soon = { timeout: 20_000, interval: 20 };
const quiet = () => undefined;

let queue: Awaited<ReturnType<typeof createTestQueue>>;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'queue-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  queue = await createTestQueue();
});
afterEach(() => (vi.restoreAllMocks(), queue.drop()));

const start = (url: string, run: JobHandler<{ name: string }>['run'], sweepMs = 5000) =>
  startWorker({
    url,
    sweepMs,
    handlers: [handle<{ name: string }>({ job: greet, run, onGivenUp: async () => undefined })],
    log: createLogger({ service: 'test', level: 'silent' }),
    healthFile: join(folder, 'health'),
  });
const undone = () => queue.query('SELECT FROM graphile_worker._private_jobs');
const add = (name: string) =>
  enqueue((sql, ...values) => queue.query(sql, values), greet, { name }, { requestId: name });

test('a worker whose connections are all cut goes on', async () => {
  const done: string[] = [];
  const worker = await start(queue.url, async ({ name }) => void done.push(name));
  for (const name of ['first', 'second', 'third']) {
    await add(name);
    await expect.poll(undone, soon).toEqual([]);
    const cut = await queue.query(
      `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
       WHERE datname = current_database() AND usename = $1`,
      [new URL(queue.url).username],
    );
    expect(cut.length).toBeGreaterThan(1);
  }
  await add('last');
  await expect.poll(() => done, soon).toEqual(['first', 'second', 'third', 'last']);
  await worker.stop();
});

test('a worker outlasts a restart of Postgres, also with a job that ends meanwhile', { timeout: 60_000 }, async () => {
  const dir = join(folder, 'data');
  let postgres = await startPostgres({ dir, password: 'secret' });
  const { url, port } = postgres;
  await provision(url, { migratorUrl: url, serviceUrls: [] }, quiet);
  await installQueue(url, quiet);
  const enqueueHere = (name: string) =>
    withClient(url, (client) =>
      enqueue((sql, ...values) => client.query(sql, values), greet, { name }, { requestId: name }),
    );

  const begun = Promise.withResolvers<undefined>();
  const end = Promise.withResolvers<undefined>();
  const done: string[] = [];
  const worker = await start(url, async ({ name }) => {
    if (name === 'long') await (begun.resolve(undefined), end.promise);
    done.push(name);
  });
  await enqueueHere('long');
  await begun.promise;
  await postgres.stop();
  end.resolve(undefined);
  await expect.poll(() => done, soon).toEqual(['long']);

  postgres = await startPostgres({ dir, port, password: 'secret' });
  await waitForPostgres(url, { seconds: 20, say: quiet });
  await enqueueHere('after');
  await expect.poll(() => done, soon).toEqual(['long', 'after']);
  const left = () => withClient(url, (client) => client.query('SELECT FROM graphile_worker._private_jobs'));
  await expect.poll(async () => (await left()).rowCount, soon).toBe(0);

  await postgres.stop();
  const from = performance.now();
  await worker.stop();
  expect(performance.now() - from).toBeLessThan(4500);
});

test('a worker goes on after a network that lost every connection without a word', { timeout: 60_000 }, async () => {
  const network = await createNetwork(queue.url);
  const done = vi.fn(async () => undefined);
  const worker = await start(network.url, done, 60_000);
  await add('before');
  await expect.poll(undone, soon).toEqual([]);
  vi.spyOn(console, 'trace').mockImplementation(quiet); // graphile-worker's way to complain
  network.swallow();
  await add('after');
  await expect.poll(undone, { timeout: 50_000 }).toEqual([]);
  expect(done).toHaveBeenCalledTimes(2);
  await worker.stop();
  await network.close();
});

async function withClient<T>(url: string, act: (client: Client) => Promise<T>) {
  const client = new Client(connection(url));
  client.on('error', quiet);
  await client.connect();
  return act(client).finally(() => client.end());
}
