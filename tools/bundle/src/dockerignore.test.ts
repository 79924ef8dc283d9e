import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');

const patternsOf = (file: string) =>
  readFileSync(join(root, file), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith('#'));

/** What Docker leaves out of the build context, as its documentation of .dockerignore has it: the last match counts. */
function excludedBy(patterns: string[]) {
  const rules = patterns.map((pattern) => ({
    excludes: !pattern.startsWith('!'),
    matches: expression(pattern.replace(/^!/, '').replace(/^\/|\/$/g, '')),
  }));
  return (path: string) => rules.findLast(({ matches }) => matches.test(path))?.excludes ?? false;
}

function expression(pattern: string) {
  const parts: Record<string, string> = { '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' };
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g, (token) => parts[token] ?? `\\${token}`);
  return new RegExp(`^${source}(?:/.*)?$`);
}

/** Paths that a line of .gitignore is about: one with a slash inside counts from the root, any other in every folder. */
function samples(pattern: string): string[] {
  const folder = pattern.endsWith('/');
  const path = pattern.replace(/^\/|\/$/g, '').replaceAll('*', 'sample') + (folder ? '/file' : '');
  return /\/./.test(pattern) ? [path] : [path, `services/roster-api/${path}`];
}

const excluded = excludedBy(patternsOf('.dockerignore'));

test.each(patternsOf('.gitignore').filter((pattern) => !pattern.startsWith('!')))(
  'what .gitignore names with %s is not sent to the builder either',
  (pattern) => {
    for (const path of samples(pattern)) {
      const { status } = spawnSync('git', ['check-ignore', '--quiet', '--no-index', path], { cwd: root });
      expect([path, status]).toEqual([path, 0]);
      expect([path, excluded(path)]).toEqual([path, true]);
    }
  },
);

test('what images are made of is sent', () => {
  const needed = ['package.json', 'package-lock.json', '.npmrc', 'libs/config/src/config.ts', 'scripts/entrypoint.sh'];
  for (const path of [...needed, 'services/roster-api/prisma/schema.prisma'])
    expect([path, excluded(path)]).toEqual([path, false]);
});
