import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { running } from './family.ts';
import { nativeEndToEnd } from './native.ts';
import type { Command } from './process.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'keelson-suites-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A stack in miniature, with a child of its own; `defects` says what is wrong with it. */
const STACK = `
  import { spawn } from 'node:child_process';
  import { createServer } from 'node:http';
  const defects = process.env.DEFECTS.split(',');
  if (defects.includes('never starts')) { console.error('no database'); process.exit(3); }
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', process.env.MARK], { detached: true });
  const server = createServer((request, response) => response.end('ok'));
  server.on('error', (error) => {
    child.kill();
    if (defects.includes('refuses with a trace')) throw error;
    if (defects.includes('refuses nothing')) return console.log('Keelson is up: twice');
    console.error('Port ' + process.env.PORT + ' is taken');
    process.exitCode = 1;
  });
  server.listen(process.env.PORT, () => console.log('Keelson is up: http://localhost:' + process.env.PORT));
  setInterval(() => {}, 1000).unref();
  if (defects.includes('refuses nothing')) setInterval(() => {}, 1000);
  process.on('SIGTERM', () => {
    if (!defects.includes('leaves a child')) child.kill();
    process.exit(defects.includes('stops with 143') ? 143 : 0);
  });
`;
const SUITE = `
  const answer = await fetch(process.env.BASE_URL);
  process.exit(answer.ok && !process.env.SUITE_FAILS ? 0 : 1);
`;

function script(name: string, source: string, env: Record<string, string>): Command {
  const file = join(folder, name);
  writeFileSync(file, source);
  return { command: process.execPath, args: [file], cwd: folder, env, stdio: 'ignore' };
}

async function outcome(defects = '', suiteEnv: Record<string, string> = {}) {
  const said: string[] = [];
  const mark = `${folder}-${defects.replaceAll(' ', '-')}`;
  const result = await nativeEndToEnd({
    stack: script('stack.mjs', STACK, { DEFECTS: defects, MARK: mark }),
    suite: script('suite.mjs', SUITE, suiteEnv),
    say: (line) => said.push(line),
    signal: new AbortController().signal,
  });
  const left = running().filter(({ command }) => command.includes(mark));
  return { ...result, said: said.join('\n'), left };
}

describe('the native suite', { timeout: 60_000 }, () => {
  test('passes on a stack that starts, refuses a second one and stops', async () => {
    const { state, said, left } = await outcome();
    expect(state).toBe('passed');
    expect(said).toContain('Keelson is up: http://localhost:');
    expect(said).toMatch(/A second stack is refused: Port \d+ is taken/);
    expect(said).not.toContain("The stack's own output");
    expect(left).toEqual([]);
  });

  test.for([
    ['never starts', 'The stack ended with 3 before it was up'],
    ['refuses with a trace', 'did not say in a sentence that the port is taken'],
    ['refuses nothing', 'instead of 1'],
    ['stops with 143', 'The stack ended with 143 instead of 0 on SIGTERM'],
    ['leaves a child', 'The stack left behind'],
  ] as const)('fails on one that %s, shows its output and clears up behind it', async ([defect, reason]) => {
    const { said, left, ...result } = await outcome(defect);
    expect(result).toEqual({ state: 'failed', reason: expect.stringContaining(reason) });
    expect(said).toContain("The stack's own output follows.");
    expect(left).toEqual([]);
  });

  test('fails when the end-to-end suite does', async () => {
    const { state, said } = await outcome('', { SUITE_FAILS: '1' });
    expect(state).toBe('failed');
    expect(said).toContain('The end-to-end suite failed');
  });
});
