import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { family, running } from './family.ts';
import { run, start, stopFamily } from './process.ts';

const node = (source: string) => ({ command: process.execPath, args: ['-e', source], cwd: '.', env: {} });
const CHILD = `require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])`;

test('a command gives its exit code, or the signal that ended it', async () => {
  const { signal } = new AbortController();
  expect(await run(node('process.exit(7)'), signal)).toBe(7);
  expect(await run(node("process.kill(process.pid, 'SIGKILL')"), signal)).toBe('SIGKILL');
});

test('an interrupted command is stopped with its children', async () => {
  const controller = new AbortController();
  const mark = `interrupted-${process.pid}`;
  const source = `require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '${mark}'])`;
  const ended = run(node(source), controller.signal);
  const marked = () => running().filter(({ command }) => command.includes(mark));
  await expect.poll(() => marked().length, { timeout: 10_000 }).toBe(2);
  controller.abort(new Error('interrupted'));
  await expect(ended).rejects.toThrow('interrupted');
  expect(marked()).toEqual([]);
});

test('a family is a process with its descendants, and is stopped as a whole, by force at last', async () => {
  const source = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log(${CHILD}.pid)`;
  const { child, ended } = start({ ...node(source), stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout! });
  const grandchild = Number((await lines[Symbol.asyncIterator]().next()).value);
  const pids = family(child.pid!).map(({ pid }) => pid);
  expect(pids.toSorted()).toEqual([child.pid, grandchild].toSorted());
  await stopFamily(child.pid!, [], 200);
  expect(await ended).toBe('SIGKILL');
  expect(family(child.pid!)).toEqual([]);
});
