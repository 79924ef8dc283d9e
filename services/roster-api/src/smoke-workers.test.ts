import { createTestDatabase } from '@keelson/postgres/testing';
import { installQueue } from '@keelson/queue';
import { afterAll, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';
import { smokeWorkers } from './smoke-workers.ts';

const database = await createTestDatabase();
await installQueue(database.adminUrl, () => undefined);
const { url, issuer, db, stop } = await startApi(database.url);
afterAll(async () => {
  await stop();
  await database.drop();
});

const token = await issuer.token();
const smoke = () => smokeWorkers(url, token);
const sql = database.asMigrator;
const columns = await db.$queryRaw<{ table: string; column: string }[]>`
  SELECT table_name AS table, column_name AS column FROM information_schema.columns
  WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_%'`;
const tables = [...new Set(columns.map(({ table }) => table))];

test('passes, as often as it is run, and leaves no worker', async () => {
  await smoke();
  await smoke();
  expect(await db.worker.count()).toBe(0);
});

test.each(columns)('fails without the column $column of $table', async ({ table, column }) => {
  await sql(`ALTER TABLE "${table}" RENAME COLUMN "${column}" TO gone`);
  await expect(smoke()).rejects.toThrow(/answers 50\d, not 20\d/);
  await sql(`ALTER TABLE "${table}" RENAME COLUMN gone TO "${column}"`);
});

test.each(tables)('fails without the table %s', async (table) => {
  await sql(`ALTER TABLE "${table}" RENAME TO gone`);
  await expect(smoke()).rejects.toThrow(/answers 50\d, not 20\d/);
  await sql(`ALTER TABLE gone RENAME TO "${table}"`);
});

test.each(tables)(
  'fails with a new column in %s that must be filled, and passes with one that need not',
  async (table) => {
    await sql(`DELETE FROM "${table}"`);
    await sql(`ALTER TABLE "${table}" ADD COLUMN more TEXT NOT NULL`);
    await expect(smoke()).rejects.toThrow(/answers 50\d, not 20\d/);
    await sql(`ALTER TABLE "${table}" ALTER COLUMN more DROP NOT NULL`);
    await smoke();
    await sql(`ALTER TABLE "${table}" DROP COLUMN more`);
  },
);

test('fails where what it writes has no room', async () => {
  await sql('ALTER TABLE "Worker" ALTER COLUMN name TYPE VARCHAR(4)');
  await expect(smoke()).rejects.toThrow('POST /api/v1/workers answers 500, not 201');
  await sql('ALTER TABLE "Worker" ALTER COLUMN name TYPE TEXT');
  await smoke();
});
