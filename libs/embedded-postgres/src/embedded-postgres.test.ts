import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startPostgres, type Postgres, type PostgresOptions } from './embedded-postgres.ts';
import { processInfo } from './process-table.ts';
import { launchWithoutRoot } from './without-root.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const isRoot = process.getuid?.() === 0;
let folder: string;
let running: Postgres[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'embedded-postgres-test-'));
  chmodSync(folder, 0o755);
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((postgres) => postgres.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: PostgresOptions = {}) {
  const postgres = await startPostgres({ password: 'a password', ...options });
  running.push(postgres);
  return postgres;
}

async function query(url: string, sql: string) {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('a temporary database', () => {
  test('answers whoever has the password, and is gone after stop', async () => {
    const before = temporaryFolders();
    const postgres = await start();
    const [settings] = await query(
      postgres.url,
      `select current_setting('fsync') as fsync, current_setting('max_connections') as connections,
              current_setting('listen_addresses') as addresses, current_setting('server_version_num')::int / 10000 as major`,
    );
    expect(settings).toEqual({ fsync: 'off', connections: '200', addresses: '127.0.0.1', major: 18 });
    const wrong = new URL(postgres.url);
    wrong.password = 'wrong';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow('password authentication failed');
    await postgres.stop();
    await postgres.ended;
    expect(processInfo(postgres.pid)).toBeUndefined();
    expect(temporaryFolders()).toEqual(before);
  });

  test('knows letters beyond ASCII', async () => {
    const { url } = await start();
    expect(await query(url, `select lower('ÅSA') as lower, 'ÅSA' ilike 'åsa' as same`)).toEqual([
      { lower: 'åsa', same: true },
    ]);
  });

  test('whose starter was killed is removed by the next one', async () => {
    const abandoned = await startAndKill({});
    expect(processInfo(abandoned)).toBeDefined();
    await start();
    expect(processInfo(abandoned)).toBeUndefined();
    expect(temporaryFolders()).toHaveLength(1);
  });
});

describe('a durable database', () => {
  test('keeps its data', async () => {
    const options = { dir: join(folder, 'new/data'), durable: true };
    const first = await start(options);
    await query(first.url, 'create table kept as select 1 as one');
    await first.stop();
    const { url } = await start(options);
    expect(await query(url, `select one, current_setting('fsync') as fsync from kept`)).toEqual([
      { one: 1, fsync: 'on' },
    ]);
  });

  test('is not started twice', async () => {
    const options = { dir: join(folder, 'data'), durable: true };
    const { pid } = await start(options);
    await expect(start(options)).rejects.toThrow(
      `Postgres is already running on ${options.dir}, as process ${pid}: stop it first.`,
    );
  });

  test('starts again after its starter was killed', async () => {
    const options = { dir: join(folder, 'data'), durable: true, password: 'a password' };
    const orphan = await startAndKill(options);
    expect(processInfo(orphan)).toBeDefined();
    const { url } = await start(options);
    expect(processInfo(orphan)).toBeUndefined();
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('starts where a lock file names a process that is none of it', async () => {
    const options = { dir: join(folder, 'data') };
    await (await start(options)).stop();
    for (const pid of [process.pid, 2 ** 22 + 1]) {
      writeFileSync(join(options.dir, 'postmaster.pid'), `${pid}\n${options.dir}\n`);
      await (await start(options)).stop();
    }
  });

  test('starts where making it was interrupted', async () => {
    const dir = join(folder, 'data');
    mkdirSync(`${dir}.new`);
    writeFileSync(`${dir}.new/PG_VERSION`, '18\n');
    writeFileSync(`${dir}.password`, 'of an earlier try', { mode: 0o600 });
    const { url } = await start({ dir });
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(readdirSync(folder)).toEqual(['data']);
  });
});

describe('what cannot start says why', () => {
  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(start({ port })).rejects.toThrow(
      `Port ${port} is taken by another program: stop it, or give Postgres another port.`,
    );
    other.close();
  });

  test('data of another major version', async () => {
    const dir = join(folder, 'data');
    mkdirSync(dir);
    writeFileSync(join(dir, 'PG_VERSION'), '17\n');
    await expect(start({ dir })).rejects.toThrow(
      `The database in ${dir} was made by Postgres 17, and this is Postgres 18`,
    );
  });

  test('a folder that holds something else', async () => {
    writeFileSync(join(folder, 'letter.txt'), 'Dear reader');
    await expect(start({ dir: folder })).rejects.toThrow(`${folder} is not empty, and it holds no Postgres database.`);
    expect(readdirSync(folder)).toEqual(['letter.txt']);
  });

  test('a setting that Postgres refuses', async () => {
    const dir = join(folder, 'data');
    await (await start({ dir })).stop();
    writeFileSync(join(dir, 'postgresql.auto.conf'), 'shared_memory_type = clay\n');
    await expect(start({ dir })).rejects.toThrow(
      /^Postgres did not start: .*postgresql\.auto\.conf.* contains errors$/,
    );
  });
});

test('stop does not wait for ever', async () => {
  const postgres = await start();
  process.kill(postgres.pid, 'SIGSTOP');
  await postgres.stop(100);
  expect(processInfo(postgres.pid)).toBeUndefined();
});

describe.runIf(isRoot)('as root', () => {
  test('Postgres runs as nobody', async () => {
    const { pid } = await start({ dir: join(folder, 'data') });
    expect(statSync(`/proc/${pid}`).uid).toBe(65534);
  });

  test('also in a folder that only root can enter', async () => {
    chmodSync(folder, 0o700);
    const dir = join(folder, 'data');
    const { pid, url } = await start({ dir, durable: true });
    expect(statSync(`/proc/${pid}`).uid).toBe(65534);
    expect(await query(url, 'select count(*)::int as none from pg_tablespace where false')).toEqual([{ none: 0 }]);
  });

  test('also from a folder that only root can enter', () => {
    const data = join(folder, 'data');
    const program = join(folder, 'closed/program');
    mkdirSync(data);
    mkdirSync(join(folder, 'closed'), { mode: 0o700 });
    copyFileSync('/bin/ls', program);
    const probe = `require('node:fs').accessSync('${program}'); process.stdout.write(String(process.geteuid()))`;
    const [file, args, options] = launchWithoutRoot(data, program, []).command(process.execPath, ['-e', probe]);
    expect(spawnSync(file, args, { ...options, stdio: 'pipe', encoding: 'utf8' }).stdout).toBe('65534');
  });

  test('data of an ordinary user stays theirs', async () => {
    const dir = join(folder, 'data');
    await (await start({ dir })).stop();
    execFileSync('chown', ['-R', '4711:4711', dir]);
    const { pid } = await start({ dir });
    expect(statSync(`/proc/${pid}`).uid).toBe(4711);
    expect(statSync(join(dir, 'postmaster.pid')).uid).toBe(4711);
  });
});

function temporaryFolders() {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`keelson-postgres-${process.pid}-`));
}

/** Has another process start a Postgres and die of SIGKILL; the process id of what it leaves behind. */
async function startAndKill(options: PostgresOptions): Promise<number> {
  const script = `
    const { startPostgres } = await import(${JSON.stringify(import.meta.resolve('./embedded-postgres.ts'))});
    const { pid } = await startPostgres(${JSON.stringify(options)});
    process.stdout.write(String(pid));
    process.kill(process.pid, 'SIGKILL');`;
  const starter = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(starter.stdout, 'data');
  await once(starter, 'exit');
  return Number(said);
}
