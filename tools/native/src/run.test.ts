import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processInfo } from '@keelson/embedded-postgres/process-table';
import { afterEach, expect, test, vi } from 'vitest';
import { run } from './run.ts';

const never = new AbortController().signal;
const pidFile = join(tmpdir(), `keelson-run-${process.pid}`);
const evaluate = (script: string) => ({ args: ['-e', script], cwd: tmpdir(), env: process.env });

afterEach(() => rmSync(pidFile, { force: true }));

test('returns what the program wrote', async () => {
  expect(await run(evaluate('console.log("out"); console.error("err")'), never)).toMatch(/out\n/);
});

test('a failure shows what it wrote', async () => {
  const failing = run(evaluate('console.error("the reason"); process.exit(3)'), never);
  await expect(failing).rejects.toThrow(/^the reason\n.* ended with 3\.$/s);
});

test('an abort ends it, and what it started', async () => {
  const stop = new AbortController();
  const parent = `
    const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    require('node:fs').writeFileSync('${pidFile}', String(child.pid));
    process.on('SIGTERM', () => {});`;
  const running = run(evaluate(parent), stop.signal);
  const grandchild = await vi.waitFor(() => Number(readFileSync(pidFile, 'utf8')) || Promise.reject(new Error()), 5000);
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
  await vi.waitFor(() => expect(processInfo(grandchild)).toBeUndefined(), 5000);
});
