import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchFolders } from './watch-folders.ts';

let folder: string;
let changes: number;
let stop: () => void;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-watch-'));
  mkdirSync(join(folder, 'src/deep'), { recursive: true });
  writeFileSync(join(folder, 'src/main.ts'), '1');
  changes = 0;
  stop = watchFolders([join(folder, 'src'), join(folder, 'missing')], () => changes++);
});
afterEach(() => {
  stop();
  rmSync(folder, { recursive: true });
});

async function expectChange(act: () => void) {
  await sleep(50);
  const before = changes;
  act();
  await vi.waitFor(() => expect(changes).toBe(before + 1), 3000);
}

/** As most editors save. */
function replace(file: string) {
  writeFileSync(join(folder, 'src/.new'), 'new');
  renameSync(join(folder, 'src/.new'), join(folder, file));
}

test('hears of a file that is written, and of one that is replaced again and again', async () => {
  await expectChange(() => writeFileSync(join(folder, 'src/main.ts'), '2'));
  for (let time = 1; time <= 3; time++) await expectChange(() => replace('src/main.ts'));
  await expectChange(() => replace('src/deep/other.ts'));
  await expectChange(() => rmSync(join(folder, 'src/deep/other.ts')));
});

test('hears of what happens in folders that are new', async () => {
  await expectChange(() => mkdirSync(join(folder, 'src/new/deeper'), { recursive: true }));
  await expectChange(() => writeFileSync(join(folder, 'src/new/deeper/file.ts'), '1'));
  await expectChange(() => rmSync(join(folder, 'src/new'), { recursive: true }));
});

test('is silent for tests, hidden files, and when it is stopped', async () => {
  writeFileSync(join(folder, 'src/main.test.ts'), '1');
  writeFileSync(join(folder, 'src/.main.ts.swp'), '1');
  await sleep(300);
  stop();
  writeFileSync(join(folder, 'src/main.ts'), '3');
  await sleep(300);
  expect(changes).toBe(0);
});
