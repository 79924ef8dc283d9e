import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processInfo } from '@keelson/embedded-postgres/process-table';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimStack } from './stack-file.ts';

let folder: string;
let file: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-stack-'));
  file = join(folder, 'data/stack.json');
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const read = () => JSON.parse(readFileSync(file, 'utf8'));
const url = 'http://localhost:1337';

async function sleeper(): Promise<number> {
  child = spawn(process.execPath, ['-e', 'console.log(); setInterval(() => {}, 1000)'], { detached: true });
  await once(child.stdout!, 'data');
  return child.pid!;
}

test('tells where everything is, to nobody but its owner', async () => {
  const stack = await claimStack(file, url);
  stack.update({ databases: { postgres: 'postgresql://…' } });
  stack.service('roster-api', process.pid, 'http://127.0.0.1:3001');
  expect(read()).toMatchObject({
    pid: process.pid,
    url,
    databases: { postgres: 'postgresql://…' },
    services: { 'roster-api': { pid: process.pid, url: 'http://127.0.0.1:3001' } },
  });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  stack.remove();
  expect(existsSync(file)).toBe(false);
});

test('there is one stack at a time', async () => {
  const stack = await claimStack(file, url);
  await expect(claimStack(file, url)).rejects.toThrow(
    `Keelson is already running in this folder, as process ${process.pid}: ${url}`,
  );
  stack.remove();
  (await claimStack(file, url)).remove();
});

test('what a killed one left running is ended', async () => {
  const stack = await claimStack(file, url);
  const orphan = await sleeper();
  stack.service('roster-api', orphan, 'http://127.0.0.1:3001');
  writeFileSync(file, JSON.stringify({ ...read(), pid: 2 ** 22 + 1 }));
  await claimStack(file, url);
  expect(processInfo(orphan)).toBeUndefined();
  expect(read()).toMatchObject({ pid: process.pid, services: {} });
});

test('a process id that means another process by now is left alone', async () => {
  const stack = await claimStack(file, url);
  const other = await sleeper();
  stack.service('roster-api', other, 'http://127.0.0.1:3001');
  const state = read();
  state.started = 'long ago';
  state.services['roster-api'].started = 'long ago';
  writeFileSync(file, JSON.stringify(state));
  await claimStack(file, url);
  expect(processInfo(other)).toBeDefined();
});

test.each(['', '{"pid":', 'null', '{}'])('a file that holds %o is no obstacle', async (content) => {
  (await claimStack(file, url)).remove();
  writeFileSync(file, content);
  await claimStack(file, url);
  expect(read().pid).toBe(process.pid);
});
