import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processInfo } from '@keelson/embedded-postgres/process-table';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

vi.setConfig({ testTimeout: 20_000 });

/** Stands in for npm: notes what it was called for, takes its time, and writes what npm writes last. */
const NPM = `const fs = require('node:fs');
  fs.appendFileSync('npm-was-called', process.argv[2] + '\\n');
  setTimeout(() => {
    if (fs.existsSync('npm-fails')) { console.error('npm error no network'); process.exit(1); }
    fs.mkdirSync('node_modules', { recursive: true });
    fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json');
  }, 300);`;
const PATIENT = `process.on('SIGTERM', () => setTimeout(() => process.exit(3), 200));
  setInterval(() => {}, 1000); process.stdout.write(process.pid + '\\n');`;

let root: string;
let script: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'keelson-with-node-'));
  script = join(root, 'tools/toolchain/with-node.mjs');
  mkdirSync(join(root, 'tools/toolchain'), { recursive: true });
  copyFileSync(join(import.meta.dirname, '../../toolchain/with-node.mjs'), script);
  writeFileSync(join(root, '.nvmrc'), '26.10.0\n');
  writeFileSync(join(root, 'npm-cli.js'), NPM);
  lockPackage('1.0.0');
});
afterEach(() => rmSync(root, { recursive: true }));

function lockPackage(version: string) {
  const packages = { '': {}, 'node_modules/some': { version, integrity: `sha512-${version}` } };
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
}

const npmCalls = () => readFileSync(join(root, 'npm-was-called'), 'utf8');

function withNode(...args: string[]) {
  const env = { ...process.env, npm_execpath: join(root, 'npm-cli.js'), npm_lifecycle_event: undefined };
  const child = spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk) => (said.out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk) => (said.err += chunk));
  return { child, said, ended: once(child, 'close').then(([code, signal]) => code ?? signal) };
}

test('installs what package-lock.json names, and only when that is another', async () => {
  const first = withNode('node', '-e', 'console.log("ran")');
  expect(await first.ended).toBe(0);
  expect(first.said.out).toBe('ran\n');
  expect(first.said.err).toMatch(/^Installing the packages .* …\nInstalling .*: done in \d+\.\d s\n$/);
  expect(await withNode('node', '-e', '').ended).toBe(0);
  expect(npmCalls()).toBe('ci\n');
  lockPackage('1.0.1');
  expect(await withNode('node', '-e', '').ended).toBe(0);
  expect(npmCalls()).toBe('ci\nci\n');
});

test('two at once install once', async () => {
  const both = [withNode('node', '-e', ''), withNode('node', '-e', '')];
  expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
  expect(npmCalls()).toBe('ci\n');
  expect(existsSync(join(root, '.toolchain/lock'))).toBe(false);
});

test('a failed installation says so, and the next run mends it', async () => {
  writeFileSync(join(root, 'npm-fails'), '');
  const failed = withNode('node', '-e', '');
  expect(await failed.ended).toBe(1);
  expect(failed.said.err).toContain('npm error no network\nThe packages could not be installed: see above');
  rmSync(join(root, 'npm-fails'));
  expect(await withNode('node', '-e', '').ended).toBe(0);
});

test('an interrupted one leaves no lock, and a lock of the dead is taken over', async () => {
  const interrupted = withNode('node', '-e', '');
  await vi.waitFor(npmCalls, 5000);
  interrupted.child.kill('SIGINT');
  expect(await interrupted.ended).toBe(130);
  expect(existsSync(join(root, '.toolchain/lock'))).toBe(false);
  mkdirSync(join(root, '.toolchain/lock'));
  writeFileSync(join(root, '.toolchain/lock', String(2 ** 22 + 1)), '');
  expect(await withNode('node', '-e', '').ended).toBe(0);
});

test('ends as the command ended', async () => {
  expect(await withNode('node', '-e', 'process.exit(7)').ended).toBe(7);
  expect(await withNode('node', '-e', 'process.kill(process.pid, "SIGKILL")').ended).toBe(137);
});

test('passes a signal on, and waits', async () => {
  const { child, ended, said } = withNode('node', '-e', PATIENT);
  await vi.waitFor(() => expect(said.out).toMatch(/^\d+\n$/), 10_000);
  child.kill('SIGTERM');
  expect(await ended).toBe(3);
});

test('ends when the npm that runs it is killed', async () => {
  await withNode('node', '-e', '').ended;
  const npm = spawn(process.execPath, [
    '-e',
    `require('node:child_process').spawn(process.execPath, ${JSON.stringify([script, 'node', '-e', PATIENT])},
      { env: { ...process.env, npm_lifecycle_event: 'start' }, stdio: ['ignore', 'inherit', 'inherit'] });
    setInterval(() => {}, 1000);`,
  ]);
  const [pid] = await once(npm.stdout.setEncoding('utf8'), 'data');
  npm.kill('SIGKILL');
  await vi.waitFor(() => expect(processInfo(Number(pid))).toBeUndefined(), 5000);
});

test.each([
  [['no-such-command'], 'no-such-command could not be started: spawn no-such-command ENOENT\n'],
  [[], 'Usage: node tools/toolchain/with-node.mjs COMMAND [ARGUMENT…]\n'],
])('%o is a sentence', async (args, sentence) => {
  await withNode('node', '-e', '').ended;
  const { ended, said } = withNode(...args);
  expect(await ended).toBe(1);
  expect(said).toEqual({ out: '', err: sentence });
});
