import { connection, QUEUE_ROLE } from '@keelson/postgres';
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

test("everything belongs to the queue's role, whose members cannot make schemas", async () => {
  const owners = await query(
    database.adminUrl,
    `SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'graphile_worker'::regnamespace
     UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'graphile_worker'::regnamespace`,
  );
  expect(owners).toEqual([{ owner: QUEUE_ROLE }]);
  await expect(query(database.url, 'CREATE SCHEMA mine')).rejects.toThrow('permission denied for database');
});

test('leaves no connection and no privilege, also when it fails', async () => {
  await query(database.adminUrl, 'DELETE FROM graphile_worker.migrations WHERE id >= 16');
  await expect(installQueue(database.adminUrl, quiet)).rejects.toThrow();
  const sessions = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database()';
  await expect.poll(() => query(database.adminUrl, sessions)).toEqual([{ n: 1 }]);
  await expect(query(database.url, 'CREATE SCHEMA mine')).rejects.toThrow('permission denied for database');
});
