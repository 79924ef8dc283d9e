import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const copy = mkdtempSync(join(tmpdir(), 'keelson-new-'));
const git = (...args: string[]) => execFileSync('git', ['-C', copy, ...args], { encoding: 'utf8' });
const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];

/** What git knows of this checkout, in a repository of its own. */
beforeAll(() => {
  const files = execFileSync('git', ['-C', root, ...list], { encoding: 'utf8' }).split('\0');
  for (const file of files.filter((file) => file && existsSync(join(root, file))))
    cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  git('init', '--quiet');
  git('add', '--all', '--', '.', ':!node_modules');
  git('-c', 'user.name=test', '-c', 'user.email=test@example.com', 'commit', '--quiet', '--message=all');
  execFileSync('sh', ['scripts/setup'], { cwd: copy, stdio: 'ignore' });
});
afterAll(() => rmSync(copy, { recursive: true }));

const run = (...args: string[]) => {
  const { status, stderr } = spawnSync(process.execPath, ['tools/generators/src/main.ts', ...args], {
    cwd: copy,
    env: { ...process.env, FORCE_COLOR: undefined }, // with NO_COLOR beside it, Node warns on stderr
    encoding: 'utf8',
  });
  return { status, stderr };
};
const own = () => ['.env', 'docker-compose.override.yml'].map((file) => readFileSync(join(copy, file), 'utf8'));
const secrets = () => readdirSync(join(copy, '.secrets')).toSorted();
const changes = () => git('status', '--porcelain', '--', '.', ':!node_modules');

test('what is added is removed to the byte, also in the files that git ignores', { timeout: 60_000 }, () => {
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

test('a service is taken out of an .env that was made with it', { timeout: 60_000 }, () => {
  const before = own();
  expect(run('new', 'api', 'sample-orders').status).toBe(0);
  rmSync(join(copy, '.env'));
  execFileSync('sh', ['scripts/setup'], { cwd: copy, stdio: 'ignore' });
  expect(own()[0]).toContain('SAMPLE_ORDERS_API_MEMORY=');
  expect(run('remove', 'sample-orders-api').status).toBe(0);
  expect(own()).toEqual(before);
  expect(changes()).toBe('');
});

test('what no commit has is removed only by force', { timeout: 60_000 }, () => {
  expect(run('new', 'api', 'sample-orders').status).toBe(0);
  git('add', '--all', '--', '.', ':!node_modules');
  appendFileSync(join(copy, 'services/sample-orders-api/src/app.ts'), '// days of work\n');
  expect(run('remove', 'sample-orders-api')).toEqual({
    status: 64,
    stderr: 'services/sample-orders-api has changes that no commit has: commit or stash them, or add --force.\n',
  });
  expect(run('remove', 'sample-orders-api', '--force').status).toBe(0);
  git('reset', '--quiet');
  expect(changes()).toBe('');
});

test('a dry run and a refusal write nothing', { timeout: 60_000 }, () => {
  expect(run('new', 'api', 'sample-orders', '--dry-run').status).toBe(0);
  expect(run('new', 'api', 'roster')).toEqual({
    status: 64,
    stderr: 'services/roster-api is there already: choose another name.\n',
  });
  expect(run('new', 'api', 'sample-orders', '--colour').status).toBe(64);
  expect(changes()).toBe('');
});
