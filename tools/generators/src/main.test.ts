import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const copy = mkdtempSync(join(tmpdir(), 'keelson-new-'));
const git = (...args: string[]) => execFileSync('git', ['-C', copy, ...args], { encoding: 'utf8' });
const commit = (message: string) => {
  git('add', '--all');
  git('-c', 'user.name=test', '-c', 'user.email=test@example.com', 'commit', '--quiet', `--message=${message}`);
};
const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];

/** What git knows of this checkout, in a repository of its own. */
beforeAll(() => {
  const files = execFileSync('git', ['-C', root, ...list], { encoding: 'utf8' }).split('\0');
  for (const file of files.filter((file) => file && existsSync(join(root, file))))
    cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  git('init', '--quiet');
  appendFileSync(join(copy, '.git/info/exclude'), 'node_modules\n'); // which .gitignore knows as a folder
  commit('all');
  execFileSync('sh', ['scripts/setup'], { cwd: copy, stdio: 'ignore' });
});
afterAll(() => rmSync(copy, { recursive: true }));

const tell = (...args: string[]) =>
  spawnSync(process.execPath, ['tools/generators/src/main.ts', ...args], {
    cwd: copy,
    encoding: 'utf8',
    // With NO_COLOR beside FORCE_COLOR, Node warns on stderr.
    env: { ...process.env, FORCE_COLOR: undefined, PATH: `${join(copy, '.data')}:${process.env['PATH']}` },
  });
const run = (...args: string[]) => {
  const { status, stderr } = tell(...args);
  return { status, stderr };
};
const own = () => ['.env', 'docker-compose.override.yml'].map((file) => readFileSync(join(copy, file), 'utf8'));
const secrets = () => readdirSync(join(copy, '.secrets')).toSorted();
const changes = () => git('status', '--porcelain');

test('what is added is removed to the byte, also in the files that git ignores', { timeout: 120_000 }, () => {
  const before = [own(), secrets()];
  const added = [
    ['api', 'sample-orders'],
    ['api', 'sample-shop', '--resource=line-item', '--route=/api/v1/sample-shop/items'],
    ['worker', 'sample-invoices'],
    ['worker', 'sample-mails', '--no-database'],
  ] as const;
  for (const args of added) expect(run('new', ...args)).toEqual({ status: 0, stderr: '' });
  for (const [kind, name] of added) {
    expect(readFileSync(join(copy, '.secrets', `${name}-${kind}-password`), 'utf8')).toMatch(/^\w{48}\n$/);
    expect(own()[1]).toContain(`\n  ${name}-${kind}:\n`);
  }
  for (const [kind, name] of added) expect(run('remove', `${name}-${kind}`)).toEqual({ status: 0, stderr: '' });
  expect([own(), secrets()]).toEqual(before);
  expect(changes()).toBe('');
});

test('a service is taken out of an .env that was made with it', { timeout: 120_000 }, () => {
  const before = own();
  expect(run('new', 'api', 'sample-orders').status).toBe(0);
  rmSync(join(copy, '.env'));
  execFileSync('sh', ['scripts/setup'], { cwd: copy, stdio: 'ignore' });
  expect(own()[0]).toContain('SAMPLE_ORDERS_API_MEMORY=');
  expect(run('remove', 'sample-orders-api').status).toBe(0);
  expect(own()).toEqual(before);
  expect(changes()).toBe('');
});

test('what no commit has is removed only when that is said', { timeout: 60_000 }, () => {
  expect(run('new', 'api', 'sample-orders').status).toBe(0);
  git('add', '--all');
  appendFileSync(join(copy, 'services/sample-orders-api/src/app.ts'), '// days of work\n');
  expect(run('remove', 'sample-orders-api')).toEqual({
    status: 64,
    stderr:
      'services/sample-orders-api has changes that no commit has: commit or stash them first, or say --with-uncommitted-changes.\n',
  });
  expect(run('remove', 'sample-orders-api', '--with-uncommitted-changes').status).toBe(0);
  git('reset', '--quiet');
  expect(changes()).toBe('');
});

test('a dry run and a refusal write nothing', { timeout: 120_000 }, () => {
  expect(run('new', 'api', 'sample-orders', '--dry-run').status).toBe(0);
  expect(run('new', 'api', 'roster')).toEqual({
    status: 64,
    stderr: 'services/roster-api is there already: choose another name.\n',
  });
  expect(run('new', 'api', 'sample-orders', '--colour').status).toBe(64);
  expect(changes()).toBe('');
});

describe('the whole project', () => {
  const present: string = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).name;
  const other = present.replaceAll(/[a-y]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 1));
  const settings = ['.env', '.env.production', 'docker-compose.override.yml'].map((file) => join(copy, file));
  const read = () => settings.map((file) => readFileSync(file, 'utf8'));

  test('has another name, says what keeps the old one, and gets it back to the byte', { timeout: 120_000 }, () => {
    appendFileSync(settings[0]!, `COMPOSE_PROJECT_NAME=${present}-mine\nURL=postgresql://managed/${present}\n`);
    writeFileSync(settings[1]!, `COMPOSE_PROJECT_NAME=${present}-production\n`);
    mkdirSync(join(copy, '.data/postgres'), { recursive: true });
    writeFileSync(join(copy, '.data/docker'), '#!/bin/sh\necho "${5##*=}_postgres"\n', { mode: 0o755 });
    writeFileSync(join(copy, `${present}.sh`), `echo ${present}\n`, { mode: 0o755 });
    writeFileSync(join(copy, 'CHANGELOG.md'), `${present} begins\n`);
    commit('more');
    const before = read();

    const { status, stderr, stdout } = tell('rename', other);
    expect([status, stderr]).toEqual([0, '']);
    for (const said of [
      'CHANGELOG.md',
      ': the old name stays there, as history',
      `the database ${present.replaceAll('-', '_')}, which nothing uses any more`,
      `the volumes ${present}-mine_postgres: the stack ${other}-mine makes its own`,
      `.env.production is as it was: its stack keeps the project name ${present}-production`,
    ])
      expect(stdout).toContain(said);
    expect(read()).toEqual([
      before[0]!.replace(`NAME=${present}`, `NAME=${other}`).replace(`AUDIENCE=${present}`, `AUDIENCE=${other}`),
      before[1],
      before[2]!.replaceAll(present, other),
    ]);
    expect(execFileSync(join(copy, `${other}.sh`), { encoding: 'utf8' })).toBe(`${other}\n`);
    expect(existsSync(join(copy, `${present}.sh`))).toBe(false);
    expect(readFileSync(join(copy, 'CHANGELOG.md'), 'utf8')).toBe(`${present} begins\n`);

    expect(run('rename', present)).toEqual({
      status: 64,
      stderr: expect.stringMatching(/^There are uncommitted changes.*--with-uncommitted-changes\.\n$/),
    });
    expect(run('new', 'api', 'sample-orders')).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(join(copy, 'services/sample-orders-api/src/main.ts'), 'utf8')).toContain(`@${other}/`);
    expect(run('remove', 'sample-orders-api')).toEqual({ status: 0, stderr: '' });
    expect(run('rename', present, '--with-uncommitted-changes')).toEqual({ status: 0, stderr: '' });
    expect(read()).toEqual(before);
    expect(changes()).toBe('');
  });

  test('keeps its name after a dry run and a refusal', { timeout: 120_000 }, () => {
    expect(tell('rename', other, '--dry-run').stdout).toMatch(/^UPDATE package\.json\n(.*\n)*Nothing is written/m);
    expect(run('rename', 'Dinghy').status).toBe(64);
    expect(run('rename').status).toBe(64);
    expect(changes()).toBe('');
  });
});
