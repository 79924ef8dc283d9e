import { connection } from '@keelson/postgres';
import { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { defineJob } from './contract.ts';
import { enqueue } from './enqueue.ts';
import { createTestQueue } from './testing.ts';

const greet = defineJob({ name: 'greet', payload: z.object({ name: z.string().min(1) }), maxAttempts: 3 });

let queue: Awaited<ReturnType<typeof createTestQueue>>;
let client: Client;
beforeEach(async () => {
  queue = await createTestQueue();
  client = new Client(connection(queue.url));
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await queue.drop();
});

const run = (sql: string, ...values: unknown[]) => client.query(sql, values);
const jobs = () =>
  queue.query(
    'SELECT identifier, payload, attempts, max_attempts FROM graphile_worker._private_jobs JOIN graphile_worker._private_tasks AS tasks ON tasks.id = task_id',
  );

test('the job exists once the transaction commits', async () => {
  await client.query('BEGIN');
  await enqueue(run, greet, { name: 'Ada' }, { requestId: 'r1' });
  expect(await jobs()).toEqual([]);
  await client.query('COMMIT');
  expect(await jobs()).toEqual([
    { identifier: 'greet', payload: { data: { name: 'Ada' }, requestId: 'r1' }, attempts: 0, max_attempts: 3 },
  ]);
});

test('the job never existed when the transaction rolls back', async () => {
  await client.query('BEGIN');
  await enqueue(run, greet, { name: 'Ada' }, { requestId: 'r1' });
  await client.query('ROLLBACK');
  expect(await jobs()).toEqual([]);
});

test('data that breaks the contract is refused before anything is written', async () => {
  const statements: string[] = [];
  const spy = async (sql: string) => void statements.push(sql);
  await expect(enqueue(spy, greet, { name: '' }, { requestId: 'r1' })).rejects.toThrow(/Too small/);
  expect(statements).toEqual([]);
});
