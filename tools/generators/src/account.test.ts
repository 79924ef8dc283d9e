import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { accountOf } from './account.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'account-'));
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** An engine on which these projects have a volume. */
const engine = (...projects: string[]) =>
  writeFileSync(
    join(folder, 'docker'),
    `#!/bin/sh\ncase $5 in ${projects.map((project) => `*=${project}`).join(' | ')}) echo "\${5##*=}_postgres" ;; esac\n`,
    { mode: 0o755 },
  );
const account = (kept: string[] = [], lookalikes: string[] = []) =>
  accountOf(folder, { from: 'dinghy', to: 'tall-ship', kept, lookalikes }).split('\n\n');

test('says no more than that where nothing keeps the old name', () => {
  engine('other');
  expect(account()).toEqual(['dinghy is tall-ship now: look at git diff, run npm test, commit.']);
});

test('names the files that keep it, and those that had the new one', () => {
  engine('other');
  expect(account(['LICENSE'], ['README.md'])).toEqual([
    expect.anything(),
    'LICENSE: the old name stays there, as history.',
    'README.md: tall-ship stood there before, and a later rename will change that as well.',
  ]);
});

test('says how to go on with the volumes of the old stack, or without them', () => {
  engine('dinghy');
  const [, said] = account();
  expect(said).toContain('the volumes dinghy_postgres: the stack tall-ship makes its own');
  expect(said).toContain('docker compose --project-name dinghy down --volumes');
  expect(said).toContain('put COMPOSE_PROJECT_NAME=dinghy into .env');
  expect(said).toContain("--command='ALTER DATABASE dinghy RENAME TO tall_ship'");
});

test('knows a stack by the project name in .env, also one that no rename changes', () => {
  engine('mine', 'dinghy-mine');
  writeFileSync(join(folder, '.env'), 'COMPOSE_PROJECT_NAME=dinghy-mine\n');
  expect(account()[1]).toContain('the stack tall-ship-mine makes its own');
  writeFileSync(join(folder, '.env'), 'COMPOSE_PROJECT_NAME=mine\n');
  expect(account()[1]).toMatch(/^The stack mine keeps its volumes\. To go on with its data:\n/);
});
