import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { awaitMigrations, migrate, migrationNames, missingMigration } from './migrate.ts';
import { connection } from './pool.ts';
import { createTestDatabase } from './testing.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let prismaDir: string;
let client: Client;

beforeEach(async () => {
  database = await createTestDatabase();
  prismaDir = mkdtempSync(join(tmpdir(), 'prisma-'));
  writeFileSync(join(prismaDir, 'schema.prisma'), 'datasource db {\n  provider = "postgresql"\n}\n');
  client = new Client(connection(database.adminUrl));
  client.on('error', () => undefined);
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await database.drop();
  rmSync(prismaDir, { recursive: true });
});

function write(name: string, sql: string) {
  mkdirSync(join(prismaDir, 'migrations', name), { recursive: true });
  writeFileSync(join(prismaDir, 'migrations', name, 'migration.sql'), sql);
}

const run = (options = {}) => migrate(database.adminUrl, prismaDir, () => undefined, options);
const tables = async () =>
  (await client.query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 't_'")).rows
    .map((row) => row.relname)
    .sort();

test('applies what is pending, in order, and only that', async () => {
  write('1_first', 'CREATE TABLE t1 (id int);');
  expect(await run()).toEqual(['1_first']);
  write('3_third', 'CREATE TABLE t3 (id int REFERENCES t2);');
  write('2_second', 'CREATE TABLE t2 (id int PRIMARY KEY);');
  expect(await run()).toEqual(['2_second', '3_third']);
  expect(await run()).toEqual([]);
  expect(await missingMigration(client, migrationNames(prismaDir))).toBe(undefined);
});

test('a function with semicolons in its body is one statement', async () => {
  write(
    '1_function',
    `CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END; $$; -- the end`,
  );
  await run();
  expect((await client.query('SELECT f()')).rows).toEqual([{ f: 2 }]);
});

test('twelve at once apply each migration once', async () => {
  write('1_slow', 'CREATE TABLE t1 (id int); SELECT pg_sleep(0.5);');
  write('2_more', 'CREATE TABLE t2 (id int);');
  const applied = await Promise.all(Array.from({ length: 12 }, () => run()));
  expect(applied.filter((list) => list.length > 0)).toEqual([['1_slow', '2_more']]);
  const { rows } = await client.query('SELECT count(*)::int FROM _prisma_migrations WHERE finished_at IS NOT NULL');
  expect(rows).toEqual([{ count: 2 }]);
});

test('a failed migration leaves nothing, names file and error, and applies once corrected', async () => {
  write('1_good', 'CREATE TABLE t1 (id int);');
  write('2_bad', 'CREATE TABLE t2 (id int);\nINSERT INTO nowhere VALUES (1);');
  await expect(run()).rejects.toThrow(
    /migration 2_bad failed: line 2: relation "nowhere" does not exist[\s\S]*2_bad\/migration\.sql/,
  );
  expect(await tables()).toEqual(['t1']);
  write('2_bad', 'CREATE TABLE t2 (id int);');
  expect(await run()).toEqual(['2_bad']);
  expect(await tables()).toEqual(['t1', 't2']);
});

test('a failed concurrent index leaves no invalid index', async () => {
  write('1_table', 'CREATE TABLE t1 (id int); INSERT INTO t1 VALUES (1), (1);');
  write('2_index', 'CREATE UNIQUE INDEX CONCURRENTLY t1_id ON t1 (id);');
  await expect(run()).rejects.toThrow(/2_index failed: .*could not create unique index/);
  expect((await client.query("SELECT FROM pg_class WHERE relname = 't1_id'")).rowCount).toBe(0);
  await client.query('DELETE FROM t1');
  expect(await run()).toEqual(['2_index']);
});

test('an index that somebody else is building is left alone', async () => {
  write('1_table', 'CREATE TABLE t1 (id int);');
  await run();
  await client.query('BEGIN; INSERT INTO t1 VALUES (1)');
  const builder = new Client(connection(database.adminUrl));
  await builder.connect();
  const built = builder.query('CREATE INDEX CONCURRENTLY t1_id ON t1 (id)');
  const invalid = "SELECT FROM pg_index WHERE indexrelid = to_regclass('t1_id') AND NOT indisvalid";
  await expect.poll(async () => (await client.query(invalid)).rowCount).toBe(1);
  write('2_bad', 'SELECT nothing;');
  await expect(run()).rejects.toThrow('2_bad failed');
  write('2_bad', 'CREATE TABLE t2 (id int);');
  expect(await run()).toEqual(['2_bad']);
  await client.query('COMMIT');
  await built;
  await builder.end();
  expect((await client.query(invalid)).rowCount).toBe(0);
});

test('a concurrent index is built while others wait for the lock', async () => {
  write('1_table', 'CREATE TABLE t1 (id int);');
  write('2_index', 'CREATE INDEX CONCURRENTLY t1_id ON t1 (id);');
  const applied = await Promise.all(Array.from({ length: 5 }, () => run()));
  expect(applied.flat()).toEqual(['1_table', '2_index']);
});

test('a migration whose process was killed runs again', async () => {
  write('1_slow', 'CREATE TABLE t1 (id int); SELECT pg_sleep(30);');
  const first = run().catch((error: Error) => error.message);
  const leader = () =>
    client.query("SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE t1%' AND pid <> pg_backend_pid()");
  await expect.poll(async () => (await leader()).rowCount, { timeout: 10_000 }).toBe(1);
  await client.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  expect(await first).toMatch(/terminat/);
  write('1_slow', 'CREATE TABLE t1 (id int);');
  expect(await run()).toEqual(['1_slow']);
});

test('a migration whose process was killed is not run beside what Postgres still does of it', async () => {
  write('1_table', 'CREATE TABLE t1 (id int);');
  write('2_slow', 'SELECT pg_sleep(2); INSERT INTO t1 VALUES (1);');
  const env = { ...process.env, DATABASE_URL: database.adminUrl, MIGRATOR_URL: database.adminUrl };
  const first = spawn(process.execPath, [join(import.meta.dirname, 'cli.ts'), 'migrate', '--prisma', prismaDir], {
    env,
  });
  const sleeping = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
  await expect.poll(async () => (await client.query(sleeping)).rowCount, { timeout: 10_000 }).toBe(1);
  first.kill('SIGKILL');
  expect(await run()).toEqual(['2_slow']);
  expect((await client.query('SELECT id FROM t1')).rows).toEqual([{ id: 1 }]);
}, 15_000);

test('a migration that takes long needs no new connection once it is applied', async () => {
  const refuse = 'UPDATE pg_database SET datallowconn = false WHERE datname = current_database();';
  write('1_long', `CREATE TABLE t1 (id int); SELECT pg_sleep(11); ${refuse}`);
  expect(await run()).toEqual(['1_long']);
  expect(await tables()).toEqual(['t1']);
}, 30_000);

test('a table in use is tried again, and given up with a sentence', async () => {
  write('1_table', 'CREATE TABLE t1 (id int);');
  await run();
  write('2_change', 'ALTER TABLE t1 ADD COLUMN name text;');
  await client.query('BEGIN; LOCK TABLE t1');
  await expect(run({ lockTimeoutMs: 50, attempts: 2 })).rejects.toThrow(/2_change failed: .*lock timeout/);
  const change = run({ lockTimeoutMs: 100 });
  await expect
    .poll(
      async () => (await client.query("SELECT FROM pg_locks WHERE NOT granted AND relation = 't1'::regclass")).rowCount,
    )
    .toBe(1);
  await client.query('COMMIT');
  expect(await change).toEqual(['2_change']);
});

test('waits for the migrations of another process, and says which are missing', async () => {
  write('1_first', 'CREATE TABLE t1 (id int);');
  await expect(awaitMigrations(database.adminUrl, prismaDir, { seconds: 0, say: () => undefined })).rejects.toThrow(
    '1_first',
  );
  const waiting = awaitMigrations(database.adminUrl, prismaDir, { seconds: 30, say: () => undefined });
  await run();
  await waiting;
});

test('the record is what the Prisma command line would write', async () => {
  cpSync(join(import.meta.dirname, '../../../services/roster-api/prisma'), prismaDir, { recursive: true });
  await run();
  const { rows } = await client.query(
    'SELECT checksum, migration_name, logs, rolled_back_at, applied_steps_count FROM _prisma_migrations',
  );
  expect(rows).toEqual([
    expect.objectContaining({
      checksum: expect.stringMatching(/^[0-9a-f]{64}$/),
      logs: null,
      rolled_back_at: null,
      applied_steps_count: 1,
    }),
  ]);
});
