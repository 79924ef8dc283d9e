import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from './bundle.ts';

const root = resolve(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
const [first, second] = [join(folder, 'first'), join(folder, 'second')];

beforeAll(async () => {
  await bundle('exports-worker', first);
  await bundle('exports-worker', second);
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) =>
  spawnSync(process.execPath, args, { cwd: first, env: {}, encoding: 'utf8', timeout: 10_000 });

test('the same source gives the same bytes', () => {
  expect(readdirSync(first)).toEqual(readdirSync(second));
  for (const file of readdirSync(first))
    expect([file, readFileSync(join(first, file)).equals(readFileSync(join(second, file)))]).toEqual([file, true]);
});

test('nothing in it says where it was made', () => {
  for (const file of readdirSync(first))
    expect([file, readFileSync(join(first, file)).includes(root)]).toEqual([file, false]);
});

test('it runs without packages', () => {
  const { status, stderr } = run('main.mjs');
  expect(stderr).toContain('DATABASE_URL is missing');
  expect(status).toBe(78);
});

test('the database commands come with it', () => {
  expect(run('database.mjs', '--help')).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('Usage: database'),
  });
  expect(readdirSync(first)).toContain('schema_engine_bg.wasm');
});

test('a name that is no service is refused with a sentence', async () => {
  await expect(bundle('nonsense', join(folder, 'none'))).rejects.toThrow('there is no service of this name');
});
