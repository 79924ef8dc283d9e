import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readRepository } from './repository.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-release-'));
  cpSync(import.meta.dirname, join(folder, 'tools/release/src'), { recursive: true });
  setVersion('1.2.3');
  git('init', '--quiet', '--initial-branch=main');
  commit('one');
});
afterEach(() => rmSync(folder, { recursive: true }));

const git = (...args: string[]) => {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
  return execFileSync('git', [...who, ...args], { cwd: folder, encoding: 'utf8' }).trim();
};
const commit = (message: string) => {
  git('add', '--all');
  git('commit', '--quiet', '--allow-empty', `--message=${message}`);
};
const setVersion = (version: string) => writeFileSync(join(folder, 'package.json'), JSON.stringify({ version }));

/** The program in that repository, without docker and without what npm or CI tell it here. */
function release(args: string[], env: Record<string, string> = { REGISTRY: 'registry.example.com/acme' }) {
  const main = join(folder, 'tools/release/src/main.ts');
  const { PATH } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    env: { PATH, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}
const refused = (sentence: string) => ({ status: 1, stdout: '', stderr: expect.stringContaining(sentence) });

test('a repository is read', { timeout: 30_000 }, () => {
  git('tag', 'v1.2.2');
  commit('two');
  git('tag', 'v1.2.3');
  git('tag', 'vessel');
  const newest = git('rev-parse', 'HEAD');
  expect(readRepository(folder)).toEqual({
    version: '1.2.3',
    commit: newest,
    branch: 'main',
    changed: [],
    tags: ['v1.2.2', 'v1.2.3'],
    tagsHere: ['v1.2.3'],
    isOnMain: true,
    isNewest: true,
  });
  git('checkout', '--quiet', '--detach', 'HEAD~1');
  writeFileSync(join(folder, 'new.ts'), '');
  expect(readRepository(folder)).toMatchObject({
    branch: undefined,
    changed: ['new.ts'],
    tagsHere: ['v1.2.2'],
    isOnMain: true,
    isNewest: false,
  });
});

test('main is also what origin says it is', { timeout: 30_000 }, () => {
  const first = git('rev-parse', 'HEAD');
  commit('two');
  git('update-ref', 'refs/remotes/origin/main', 'HEAD');
  git('checkout', '--quiet', '--detach');
  git('branch', '--quiet', '--force', 'main', first);
  expect(readRepository(folder)).toMatchObject({ isOnMain: true, isNewest: true });
  git('checkout', '--quiet', 'main');
  expect(readRepository(folder)).toMatchObject({ isOnMain: true, isNewest: false });
  git('checkout', '--quiet', '-b', 'topic');
  commit('three');
  expect(readRepository(folder)).toMatchObject({ isOnMain: false, isNewest: false });
});

test('what cannot be released is refused with a sentence, before anything is done', { timeout: 30_000 }, () => {
  expect(release([], {})).toEqual(refused('REGISTRY is missing, where the images go: REGISTRY='));
  git('tag', 'v1.2.4');
  expect(release([])).toEqual(refused('This commit has the tag v1.2.4, but its package.json says 1.2.3'));
  git('tag', '--delete', 'v1.2.4');
  git('checkout', '--quiet', '-b', 'topic');
  expect(release(['minor'])).toEqual(refused('A release is made on the branch main, and this is topic.'));
  setVersion('1.2.4');
  expect(release([])).toEqual(refused('package.json differs from the commit'));
  expect(git('tag')).toBe('');
});

test('a command line that means nothing is answered with how it is meant', { timeout: 30_000 }, () => {
  for (const args of [['minor', 'major'], ['--no-publish'], ['--colour']])
    expect(release(args)).toMatchObject({
      status: 64,
      stderr: expect.stringMatching(/Usage: npm run release|--colour/),
    });
  expect(release(['--help'])).toMatchObject({ status: 0, stdout: expect.stringContaining('Usage: npm run release') });
});
