import { execFile } from 'node:child_process';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connection } from '@keelson/postgres';
import { createTestDatabase } from '@keelson/postgres/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');
/** In the name of this run, as roles belong to the whole server. */
const run = crypto.randomUUID().slice(0, 8);

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'provision-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  database = await createTestDatabase();
  return database.drop;
});

function provision(env: Record<string, string>) {
  return new Promise<{ code: number; output: string }>((resolve) => {
    const withDefaults = { DATABASE_WAIT_SECONDS: '1', MIGRATOR_URL: urlOf('migrator', 'hunter1'), ...env };
    const child = execFile(process.execPath, [MAIN], { env: withDefaults }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode!, output: stdout + stderr }),
    );
  });
}

const urlOf = (role: string, password: string, schema?: string) => {
  const url = Object.assign(new URL(database.adminUrl), { username: `${role}_${run}`, password });
  if (schema) url.searchParams.set('schema', schema);
  return url.href;
};

async function query(url: string, sql: string) {
  const client = new Client(connection(url));
  await client.connect();
  return (await client.query(sql).finally(() => client.end())).rows;
}

test('makes the roles, their schemas and the queue, and may run again', async () => {
  const env = {
    DATABASE_URL: database.adminUrl,
    ONE_API_DATABASE_URL: urlOf('one', 'hunter2', 'one'),
    TWO_WORKER_DATABASE_URL: urlOf('two', 'hunter3'),
  };
  const done = { code: 0, output: expect.stringContaining('2 services and the queue') };
  expect(await provision(env)).toEqual(done);
  expect(await provision(env)).toEqual(done);
  await query(urlOf('migrator', 'hunter1', 'one'), 'CREATE TABLE things (id int)');
  await query(env.ONE_API_DATABASE_URL, 'INSERT INTO things VALUES (1)');
  await expect(query(env.ONE_API_DATABASE_URL, 'DROP TABLE things')).rejects.toThrow('must be owner of table things');
  await query(env.ONE_API_DATABASE_URL, "SELECT graphile_worker.add_job('greet')");
  expect(await query(env.TWO_WORKER_DATABASE_URL, 'SELECT task_identifier FROM graphile_worker.jobs')).toEqual([
    { task_identifier: 'greet' },
  ]);
  await expect(query(env.TWO_WORKER_DATABASE_URL, 'SELECT FROM one.things')).rejects.toThrow('permission denied');
});

test('takes a URL from a file, and sets a password that has changed', async () => {
  const file = join(folder, 'url');
  const provideFor = async (password: string) => {
    writeFileSync(file, `${urlOf('three', password, 'three')}\n`);
    expect(await provision({ DATABASE_URL: database.adminUrl, THREE_API_DATABASE_URL_FILE: file })).toMatchObject({
      code: 0,
    });
  };
  await provideFor('old');
  await provideFor('new');
  await query(urlOf('three', 'new'), 'SELECT 1');
  await expect(query(urlOf('three', 'old'), 'SELECT 1')).rejects.toThrow('password authentication failed');
});

test('takes a password apart from its URL, whatever its characters', async () => {
  const password = "p@ss:/?#%41' é";
  const file = join(folder, 'password');
  writeFileSync(file, `${password}\n`);
  const own = new URL(urlOf('six', '', 'six'));
  const env = { DATABASE_URL: database.adminUrl, SIX_API_DATABASE_URL: own.href, SIX_API_DATABASE_PASSWORD_FILE: file };
  expect(await provision(env)).toMatchObject({ code: 0, output: expect.stringContaining('1 services and the queue') });
  await query(urlOf('six', encodeURIComponent(password), 'six'), 'SELECT 1');
});

test('several at once wait for each other', async () => {
  const env = { DATABASE_URL: database.adminUrl, FOUR_API_DATABASE_URL: urlOf('four', 'hunter2', 'four') };
  const outcomes = await Promise.all([provision(env), provision(env), provision(env)]);
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0]);
});

test("a wrong superuser's password is a sentence without the password", async () => {
  const wrong = Object.assign(new URL(database.adminUrl), { password: 'hunter2' }).href;
  const { code, output } = await provision({ DATABASE_URL: wrong, ONE_API_DATABASE_URL: urlOf('one', 'hunter3') });
  expect(code).toBe(1);
  expect(output.trim().split('\n').at(-1)).toMatch(
    /^Postgres at .* as postgres did not answer within 1 s: password authentication failed for user "postgres"$/,
  );
  expect(output).not.toMatch(/hunter|\n\s+at /);
});

test('a service that is not a superuser cannot provide: a sentence too', async () => {
  await provision({ DATABASE_URL: database.adminUrl, FIVE_API_DATABASE_URL: urlOf('five', 'hunter2') });
  const { code, output } = await provision({ DATABASE_URL: urlOf('five', 'hunter2') });
  expect(code).toBe(1);
  expect(output.trim().split('\n').at(-1)).toMatch(/permission denied|must be owner/);
  expect(output).not.toMatch(/hunter|\n\s+at /);
});

test.for([
  ['ONE_API_DATABASE_URL', 'mysql://one:hunter2@host/keelson', 'must be a URL like postgresql://'],
  ['ONE_API_DATABASE_URL', 'hunter2', 'must be a URL like postgresql://'],
  ['ONE_API_DATABASE_URL', 'postgresql://one@host/keelson', 'must name a role, and its password'],
  ['ONE_API_DATABASE_URL_FILE', '/nowhere', 'cannot be read from /nowhere (ENOENT)'],
  ['ONE_API_DATABASE_PASSWORD_FILE', '/nowhere', 'cannot be read from /nowhere (ENOENT)'],
  ['MIGRATOR_URL', 'postgresql://migrator@host/keelson', 'must name a role, and its password'],
  ['MIGRATOR_URL', '', 'is missing: set MIGRATOR_URL or MIGRATOR_URL_FILE'],
  ['DATABASE_URL', '', 'is missing: set DATABASE_URL or DATABASE_URL_FILE'],
] as const)('a bad configuration is named: %s=%s', async ([name, value, problem]) => {
  const { code, output } = await provision({ DATABASE_URL: database.adminUrl, [name]: value });
  expect(code).toBe(78);
  expect(output).toContain(`  ${name.replace('_FILE', '')} ${problem}`);
  expect(output).not.toContain('hunter2');
});
