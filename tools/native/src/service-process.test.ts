import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processInfo } from '@keelson/embedded-postgres/process-table';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepRunning, type ServiceProcess } from './service-process.ts';

const WAIT = { timeout: 10_000, interval: 20 };
vi.setConfig({ testTimeout: 20_000 });

let folder: string;
let service: ServiceProcess | undefined;
let said: string[];
let pids: number[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-service-'));
  said = [];
  pids = [];
});
afterEach(async () => {
  await service?.stop(100);
  rmSync(folder, { recursive: true });
});

function write(script: string) {
  writeFileSync(join(folder, 'main.ts'), script);
}

function start(script: string, watched: boolean) {
  write(script);
  service = keepRunning({
    main: join(folder, 'main.ts'),
    cwd: folder,
    env: process.env,
    watched,
    line: (text) => said.push(text),
    note: (text) => said.push(`note: ${text}`),
    started: (pid) => pids.push(pid),
  });
  return service;
}

const hears = (text: string) => vi.waitFor(() => expect(said).toContain(text), WAIT);
const POLITE = `process.on('SIGTERM', () => { console.log('closing'); process.exit(0); });
  setInterval(() => {}, 1000);
  console.log('up');`;

test('stop lets it end by itself', async () => {
  const { stop } = start(POLITE, false);
  await hears('up');
  await stop(5000);
  await hears('closing');
  expect(processInfo(pids[0]!)).toBeUndefined();
});

test('stop does not wait for ever', async () => {
  const { stop } = start(
    `process.on('SIGTERM', () => console.log('never')); setInterval(() => {}, 1000); console.log('up');`,
    false,
  );
  await hears('up');
  const began = Date.now();
  await stop(200);
  expect(Date.now() - began).toBeLessThan(2000);
  expect(processInfo(pids[0]!)).toBeUndefined();
});

test('one that ends starts again, later each time', async () => {
  start(`process.exit(7)`, false);
  await vi.waitFor(() => expect(pids).toHaveLength(3), WAIT);
  expect(said.slice(0, 2)).toEqual([
    'note: ended with 7; it starts again in 0.5 s',
    'note: ended with 7; it starts again in 1 s',
  ]);
});

test('while it is worked on, one that fails waits for a change', async () => {
  const { reload } = start(`throw new Error('half written')`, true);
  await hears('note: ended with 1; it starts again when a file changes');
  write(POLITE);
  reload();
  await hears('up');
  expect(pids).toHaveLength(2);
});

test('one that is killed starts again in any case', async () => {
  start(POLITE, true);
  await hears('up');
  process.kill(pids[0]!, 'SIGKILL');
  await vi.waitFor(() => expect(pids).toHaveLength(2), WAIT);
});

test('a change starts it again, once for several', async () => {
  const { reload } = start(POLITE, true);
  await hears('up');
  write(POLITE.replace('up', 'changed'));
  for (let times = 1; times <= 3; times++) reload();
  await hears('changed');
  expect(said.filter((line) => !line.startsWith('note'))).toEqual(['up', 'closing', 'changed']);
  expect(pids).toHaveLength(2);
});
