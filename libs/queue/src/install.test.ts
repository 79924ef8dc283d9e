import { connection } from '@keelson/postgres';
import { createTestDatabase } from '@keelson/postgres/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installQueue } from './install.ts';

const quiet = () => undefined;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function query(url: string, sql: string) {
  const client = new Client(connection(url));
  await client.connect();
  const { rows } = await client.query(sql).finally(() => client.end());
  return rows;
}

test('may run again, and by two at once', async () => {
  await Promise.all([installQueue(database.adminUrl, quiet), installQueue(database.adminUrl, quiet)]);
  await installQueue(database.adminUrl, quiet);
  await query(database.url, "SELECT graphile_worker.add_job('greet')");
  expect(await query(database.url, 'SELECT task_identifier FROM graphile_worker.jobs')).toEqual([
    { task_identifier: 'greet' },
  ]);
});

test('does not wait for who uses the queue', async () => {
  const user = new Client(connection(database.url));
  await user.connect();
  await user.query('BEGIN; SELECT FROM graphile_worker._private_jobs FOR UPDATE');
  await installQueue(database.adminUrl, quiet).finally(() => user.end());
});

test('a service cannot change the queue, only use it', async () => {
  const attempts = [
    "CREATE OR REPLACE FUNCTION graphile_worker.force_unlock_workers(worker_ids text[]) RETURNS void LANGUAGE sql AS ''",
    'ALTER TABLE graphile_worker._private_jobs ADD COLUMN mine int',
    'DROP TABLE graphile_worker._private_jobs',
    'CREATE TABLE graphile_worker.mine (id int)',
    'DELETE FROM graphile_worker.migrations',
    'SET ROLE queue_user',
    'CREATE SCHEMA mine',
  ];
  for (const sql of attempts)
    await expect(query(database.url, sql), sql).rejects.toThrow(/permission denied|must be owner/);
});

test('leaves no connection, also when it fails', async () => {
  await query(database.adminUrl, 'DELETE FROM graphile_worker.migrations WHERE id >= 16');
  await expect(installQueue(database.adminUrl, quiet)).rejects.toThrow();
  const sessions = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database()';
  await expect.poll(() => query(database.adminUrl, sessions)).toEqual([{ n: 1 }]);
});
