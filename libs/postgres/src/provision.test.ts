import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Pool } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { migrate } from './migrate.ts';
import { connection, withSchema } from './pool.ts';
import { provision } from './provision.ts';
import { createTestDatabase } from './testing.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

let prismaDir: string;
beforeAll(() => {
  prismaDir = mkdtempSync(join(tmpdir(), 'prisma-'));
  mkdirSync(join(prismaDir, 'migrations/1_init'), { recursive: true });
  writeFileSync(join(prismaDir, 'schema.prisma'), 'datasource db {\n  provider = "postgresql"\n}\n');
  writeFileSync(join(prismaDir, 'migrations/1_init/migration.sql'), STRUCTURE);
});
afterAll(() => rmSync(prismaDir, { recursive: true }));

/** One of each kind. */
const STRUCTURE = `
  CREATE TYPE mood AS ENUM ('calm', 'wild');
  CREATE TABLE seas (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood mood NOT NULL);
  CREATE TABLE ships (id serial PRIMARY KEY, sea int NOT NULL REFERENCES seas, knots int NOT NULL DEFAULT 0);
  CREATE SEQUENCE voyages;
  CREATE VIEW sailing AS SELECT ships.id, mood FROM ships JOIN seas ON seas.id = sea;
  CREATE FUNCTION double(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
  CREATE FUNCTION faster() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.knots := NEW.knots + 1; RETURN NEW; END $$;
  CREATE TRIGGER faster BEFORE UPDATE ON ships FOR EACH ROW EXECUTE FUNCTION faster();
  REVOKE EXECUTE ON FUNCTION double FROM PUBLIC;
  GRANT EXECUTE ON FUNCTION double TO CURRENT_USER;`;

/** In the name of this run, as roles belong to the whole server. */
const run = crypto.randomUUID().slice(0, 8);
const urlOf = (role: string, password: string, schema?: string) =>
  withSchema(Object.assign(new URL(database.adminUrl), { username: `${role}_${run}`, password }).href, schema);
const migratorUrl = () => urlOf('migrator', 'm');
const quiet = () => undefined;
const provide = (...serviceUrls: string[]) =>
  provision(database.adminUrl, { migratorUrl: migratorUrl(), serviceUrls }, quiet);
const migrateFor = (schema: string) => migrate(withSchema(migratorUrl(), schema), prismaDir, quiet);

async function query(url: string, sql: string) {
  const client = new Client(connection(url));
  await client.connect();
  return client.query(sql).finally(() => client.end());
}

/** Who owns what is in a schema, and the schema. */
async function owners(schema: string) {
  const { rows } = await query(
    database.adminUrl,
    `SELECT DISTINCT owner::regrole::text FROM (
       SELECT nspowner AS owner, oid AS namespace FROM pg_namespace
       UNION ALL SELECT relowner, relnamespace FROM pg_class
       UNION ALL SELECT proowner, pronamespace FROM pg_proc
       UNION ALL SELECT typowner, typnamespace FROM pg_type) AS owned
     WHERE namespace = '${schema}'::regnamespace`,
  );
  return rows.map(({ owner }) => owner);
}

describe('the role of a service', () => {
  let one: string;
  let two: string;
  beforeEach(async () => {
    [one, two] = [urlOf('one', "it's", 'one'), urlOf('two', 'b', 'two')];
    await query(database.adminUrl, `GRANT TEMPORARY ON DATABASE ${new URL(one).pathname.slice(1)} TO PUBLIC`);
    await provide(one, two);
    await migrateFor('one');
    await query(one, "INSERT INTO seas (mood) VALUES ('wild'); INSERT INTO ships (sea) VALUES (1)");
  });

  test('reads and writes the rows of its schema, which is where it looks', async () => {
    const does = async (sql: string) => (await query(one, sql)).rows;
    expect(await does("SELECT 'ships'::regclass::oid::regclass::text AS name, current_schema()")).toEqual([
      { name: 'ships', current_schema: 'one' },
    ]);
    expect(await does('SELECT * FROM sailing')).toEqual([{ id: 1, mood: 'wild' }]);
    expect(await does('UPDATE ships SET knots = 5 RETURNING knots')).toEqual([{ knots: 6 }]);
    expect(await does('SELECT id FROM ships FOR UPDATE')).toEqual([{ id: 1 }]);
    expect(await does("SELECT nextval('voyages') AS n, 'calm'::mood AS mood")).toEqual([{ n: '1', mood: 'calm' }]);
    expect(await does('SELECT count(*)::int FROM _prisma_migrations')).toEqual([{ count: 1 }]);
    expect(await does('DELETE FROM ships RETURNING id')).toEqual([{ id: 1 }]);
  });

  test.for([
    'CREATE TABLE t ()',
    'CREATE TABLE t (ship int REFERENCES ships)',
    'CREATE TABLE public.t ()',
    'CREATE TEMPORARY TABLE t ()',
    'CREATE VIEW v AS SELECT 1',
    'CREATE INDEX ON ships (knots)',
    'CREATE TYPE t AS (n int)',
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    'CREATE TRIGGER t BEFORE UPDATE ON ships FOR EACH ROW EXECUTE FUNCTION faster()',
    'CREATE SCHEMA mine',
    'CREATE ROLE r',
    'CREATE DATABASE d',
    'CREATE EXTENSION pg_trgm',
    'DROP TABLE ships',
    'DROP VIEW sailing',
    'DROP FUNCTION faster() CASCADE',
    'DROP TYPE mood CASCADE',
    'DROP SCHEMA one CASCADE',
    'TRUNCATE ships',
    'ALTER TABLE ships ADD COLUMN t int',
    'ALTER TABLE ships DISABLE TRIGGER faster',
    "ALTER TYPE mood ADD VALUE 'dull'",
    'ALTER SEQUENCE voyages RESTART',
    'ALTER SCHEMA one RENAME TO mine',
    'ALTER TABLE ships RENAME TO boats',
    "INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('', '', '')",
    'UPDATE _prisma_migrations SET checksum = checksum',
    'DELETE FROM _prisma_migrations',
    'TRUNCATE _prisma_migrations',
    'SET ROLE queue_user',
    'SELECT lo_creat(-1)',
    'SELECT lo_create(0)',
    "SELECT lo_from_bytea(0, 'kept')",
  ])('is refused %s', async (sql) => {
    await expect(query(one, sql)).rejects.toMatchObject({ code: '42501' });
  });

  test.for([
    'SELECT FROM one.ships',
    'INSERT INTO one.seas (mood) VALUES (NULL)',
    'UPDATE one.ships SET knots = 1',
    'DELETE FROM one.ships',
    "SELECT nextval('one.voyages')",
    'SELECT one.faster()',
    'CREATE TABLE one.t ()',
    'DROP TABLE one.ships',
  ])('that is not its own is refused %s', async (sql) => {
    await expect(query(two, sql)).rejects.toMatchObject({ code: '42501' });
  });

  test.for(['postgres', 'template1'])('is refused the database %s', async (name) => {
    const elsewhere = Object.assign(new URL(one), { pathname: `/${name}` }).href;
    await expect(query(elsewhere, 'SELECT')).rejects.toMatchObject({ code: '42501' });
  });

  test('is not the migrator, who owns all of it, and owns nothing when this runs again', async () => {
    await expect(query(one, `SET ROLE migrator_${run}`)).rejects.toMatchObject({ code: '42501' });
    await provide(one, two);
    expect(await migrateFor('one')).toEqual([]);
    expect(await owners('one')).toEqual([`migrator_${run}`]);
    await expect(query(one, 'DELETE FROM _prisma_migrations')).rejects.toMatchObject({ code: '42501' });
  });
});

test('may run again, and then sets the passwords anew', async () => {
  await provide(urlOf('three', 'old', 'three'));
  await provide(urlOf('three', 'new', 'three'));
  await expect(query(urlOf('three', 'old'), 'SELECT 1')).rejects.toThrow('password authentication failed');
  await query(urlOf('three', 'new'), 'SELECT 1');
});

test('tells the server no password, which might log it', async () => {
  const queries = vi.spyOn(Client.prototype, 'query');
  await provide(urlOf('secretive', 'hunter2'));
  const said = queries.mock.calls.map(([sql]) => String(sql));
  queries.mockRestore();
  expect(said).toContainEqual(expect.stringContaining('LOGIN PASSWORD'));
  expect(said.join()).not.toContain('hunter2');
  await query(urlOf('secretive', 'hunter2'), 'SELECT 1');
  await expect(query(urlOf('secretive', 'hunter3'), 'SELECT 1')).rejects.toThrow('password authentication failed');
});

describe('the second login of a service', () => {
  const first = () => urlOf('five', 'a', 'five');
  const second = () => Object.assign(new URL(first()), { username: `five_${run}.2`, password: 'b' }).href;
  const provideAlone = (url: string) =>
    provision(database.adminUrl, { migratorUrl: migratorUrl(), serviceUrls: [url], otherLogins: 'close' }, quiet);
  const wrong = 'password authentication failed';

  test('may do what the first may, which keeps its password until that is closed', async () => {
    await provide(first());
    await migrateFor('five');
    await provide(second());
    for (const url of [first(), second()]) await query(url, "INSERT INTO seas (mood) VALUES ('wild')");
    await expect(query(second(), 'TRUNCATE seas')).rejects.toMatchObject({ code: '42501' });
    await expect(query(second(), `SET ROLE five_${run}`)).rejects.toMatchObject({ code: '42501' });
    expect((await query(withSchema(second(), undefined), 'SELECT * FROM seas')).rowCount).toBe(2);

    const inside = new Client(connection(first()));
    await inside.connect();
    const putOut = new Promise((resolve) => inside.on('error', resolve));
    await provideAlone(second());
    expect(await putOut).toMatchObject({ code: '57P01' });
    await expect(query(first(), 'SELECT')).rejects.toThrow(wrong);
    await query(second(), 'SELECT * FROM seas');

    await provideAlone(first());
    await expect(query(second(), 'SELECT')).rejects.toThrow(wrong);
    await query(first(), 'SELECT * FROM seas');
  });

  test.for(['', 'BEGIN; '])(
    'that is shut out stays out, though those who are in set its password again and again: %s',
    async (begin) => {
      await provide(first());
      const sessions = Array.from({ length: 4 }, () => new Client(connection(first())));
      await Promise.all(sessions.map((session) => session.connect()));
      const clinging = sessions.map(async (session) => {
        let isIn = true;
        session.on('error', () => (isIn = false));
        const end = new Promise<void>((resolve) => session.once('end', resolve));
        while (isIn) await session.query(`${begin}ALTER ROLE CURRENT_USER PASSWORD 'mine'`).catch(() => undefined);
        await end;
      });
      await provideAlone(second());
      await Promise.all(clinging);
      const mine = Object.assign(new URL(first()), { password: 'mine' }).href;
      await expect(query(mine, 'SELECT 1')).rejects.toThrow(wrong);
    },
  );

  test('is enough where the first was never there', async () => {
    const url = urlOf('six.2', 'b', 'six').replace(`six.2_${run}`, `six_${run}.2`);
    await provideAlone(url);
    await migrateFor('six');
    await query(url, "INSERT INTO seas (mood) VALUES ('wild')");
    await expect(query(urlOf('six', 'b', 'six'), 'SELECT')).rejects.toThrow(wrong);
  });
});

describe('a service that owns its schema, as it once did,', { timeout: 30_000 }, () => {
  let own: string;
  beforeEach(async () => {
    own = urlOf('four', 'f', 'four');
    const role = `four_${run}`;
    await query(database.adminUrl, `DROP ROLE IF EXISTS ${role}`);
    await query(database.adminUrl, `CREATE ROLE ${role} LOGIN PASSWORD 'f'; CREATE SCHEMA four AUTHORIZATION ${role}`);
    await migrate(own, prismaDir, quiet);
    expect(await owners('four')).toEqual([role]);
    await query(own, "INSERT INTO seas (mood) VALUES ('wild')");
  });

  test('hands it to the migrator, and works all the while', async () => {
    const pool = new Pool({ ...connection(own), max: 4 });
    const stopped = new AbortController();
    let done = 0;
    async function work() {
      while (!stopped.signal.aborted) {
        const client = await pool.connect();
        await client.query('BEGIN; INSERT INTO ships (sea, knots) VALUES (1, double(2))');
        await client.query("SELECT nextval('voyages')");
        await client.query('INSERT INTO seas (mood) SELECT mood FROM sailing LIMIT 1');
        await client.query('UPDATE ships SET knots = knots + 1 WHERE id = (SELECT max(id) FROM ships)');
        await client.query('COMMIT');
        client.release();
        done++;
      }
    }
    const working = Promise.all([work(), work(), work(), work()]);
    const enough = (more: number) => expect.poll(() => done, { timeout: 10_000 }).toBeGreaterThan(done + more);
    await enough(50);
    await Promise.race([provide(own), working]);
    await Promise.race([enough(50), working]);
    stopped.abort();
    await working;
    await pool.end();
    const { rows } = await query(own, 'SELECT count(*)::int FROM ships');
    expect(rows).toEqual([{ count: done }]);
    expect(await owners('four')).toEqual([`migrator_${run}`]);
    expect(await migrateFor('four')).toEqual([]);
    for (const sql of ['CREATE TABLE t ()', 'TRUNCATE ships', 'DELETE FROM _prisma_migrations'])
      await expect(query(own, sql)).rejects.toMatchObject({ code: '42501' });
  });

  test('is waited for briefly and again, while it uses a table for long', async () => {
    const client = new Client(connection(own));
    await client.connect();
    await client.query('BEGIN; INSERT INTO ships (sea) VALUES (1)');
    const said: string[] = [];
    const provided = provision(
      database.adminUrl,
      { migratorUrl: migratorUrl(), serviceUrls: [own] },
      (line) => void said.push(line),
    );
    await expect.poll(() => said.join('\n'), { timeout: 10_000 }).toContain(' is in use');
    // Others got on meanwhile.
    await query(own, 'SET statement_timeout = 1000; INSERT INTO ships (sea) VALUES (1)');
    await client.query('INSERT INTO seas (mood) SELECT mood FROM sailing; COMMIT');
    await client.end();
    await provided;
    expect(await owners('four')).toEqual([`migrator_${run}`]);
  });
});
