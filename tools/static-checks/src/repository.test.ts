import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { described, lineOf } from './check.ts';
import { openRepository } from './repository.ts';
import { repositoryOf } from './testing.ts';

test('the files are those that Git has or would add', () => {
  const { root } = repositoryOf({ '.gitignore': 'ignored\n', ignored: '', 'ä b': '', gone: '' });
  const git = (...args: string[]) => expect(spawnSync('git', args, { cwd: root }).status).toBe(0);
  git('init', '--quiet');
  git('add', 'gone');
  rmSync(join(root, 'gone'));
  expect(openRepository(root).files).toEqual(['.gitignore', 'ä b']);
});

test('a folder that is no checkout is refused with a sentence', () => {
  expect(() => openRepository(repositoryOf({}).root)).toThrow('Git cannot say which files belong to this repository: ');
});

test('a problem says where, what, and what to do', () => {
  expect(described({ file: 'a', line: 2, what: 'bad', mend: 'do good.' })).toEqual([
    '  a:2: bad',
    '    Mend: do good.',
  ]);
  expect(described({ file: 'a', what: 'bad' })).toEqual(['  a: bad']);
  expect([lineOf('a\nb\nb', 'b'), lineOf('a', 'b')]).toEqual([2, undefined]);
});
