import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Tree } from '@nx/devkit';
import { FsTree } from '@nx/devkit/internal';
import fc from 'fast-check';
import { check, getFileInfo } from 'prettier';
import { expect, onTestFinished, test } from 'vitest';
import { settleRename } from './after.ts';
import { disagreements } from './disagreements.ts';
import { repositoryFiles } from './git.ts';
import { mentions, respell, spellings } from './project-name.ts';
import { projectName, renameProject } from './rename-project.ts';

const root = resolve(import.meta.dirname, '../../..');
const tree = () => new FsTree(root, false);
const present = projectName(tree());
const changes = (of: Tree) => of.listChanges().map(({ path, content }) => ({ path, text: content!.toString() }));
const before = (path: string) => readFileSync(join(root, path), 'utf8');

/** Names that are nowhere in this repository, nor in a clone of another name. */
const shifted = present.replaceAll(/[a-y]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 1));
const longer = `of-${shifted}`;
const shorter = shifted.replaceAll('-', '').slice(0, 4);

/** A longer name breaks lines, and an object that prettier has broken stays so. */
const unbroken = (text: string) => text.replaceAll(/,?\s+/g, '');

test('the name is nowhere any more, all is well-formed, and goes back', { timeout: 120_000 }, async () => {
  const renamed = tree();
  await renameProject(renamed, longer);
  const left = changes(renamed).filter(({ path, text }) => mentions(`${path}\n${text}`, present));
  expect(left.map(({ path }) => path)).toEqual([]);
  expect(renamed.read('LICENSE', 'utf8')).toBe(before('LICENSE'));
  const { snake, title } = spellings(longer);
  expect(renamed.read('README.md', 'utf8')!.split('\n')[0]).toBe(`# ${title}`);
  const compose = renamed.read('docker-compose.yml', 'utf8')!;
  for (const line of [
    `name: ${longer}`,
    `:-${longer}}/roster-api:`,
    `POSTGRES_DB: ${snake}`,
    `/${snake}?schema=roster`,
  ])
    expect(compose).toContain(line);
  expect(disagreements(renamed)).toEqual([]);
  const style = JSON.parse(before('package.json')).prettier;
  for (const { path, text } of changes(renamed)) {
    const { inferredParser, ignored } = await getFileInfo(path, { ignorePath: join(root, '.prettierignore') });
    if (inferredParser && !ignored) expect(await check(text, { ...style, filepath: path }), path).toBe(true);
  }
  await renameProject(renamed, present);
  for (const { path, text } of changes(renamed)) expect(unbroken(text), path).toBe(unbroken(before(path)));
});

test('from a name that is not longer every file comes back to the byte', { timeout: 120_000 }, async () => {
  const renamed = tree();
  await renameProject(renamed, shorter);
  await renameProject(renamed, present);
  for (const { path, text } of changes(renamed)) expect(text, path).toBe(before(path));
});

test('whatever the name is, what carries it is found again', { timeout: 120_000 }, () => {
  const word = fc.stringMatching(/^[a-z]{2}[a-z0-9]{0,10}$/);
  const name = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('-'));
  const files = repositoryFiles(root).filter((file) => existsSync(join(root, file)));
  const lines = new Set(files.flatMap((file) => before(file).split('\n')).filter((line) => mentions(line, present)));
  expect(lines.size).toBeGreaterThan(100);
  fc.assert(
    fc.property(name, name, (one, another) => {
      for (const line of lines) {
        if (mentions(line, one) || mentions(line, another)) continue;
        const renamed = respell(respell(line, present, one), one, another);
        expect(mentions(renamed, present), renamed).toBe(false);
        expect(respell(renamed, another, present)).toBe(line);
      }
    }),
    { numRuns: 100 },
  );
});

test.for([
  [present, 'is the present name'],
  ['Dinghy', 'small letters'],
  ['../etc', 'small letters'],
  ['x', '2 to 40 characters'],
  ['a1', 'would be the same'],
  ['postgres', 'is reserved'],
  ['no', 'is reserved'],
  ['pg-stat', 'is reserved'],
  ['order', 'keyword of Postgres'],
  ['current-user', 'keyword of Postgres'],
  ['prisma', 'taken on npm, by @prisma/'],
  ['express', 'taken on npm, by express'],
  ['roster', 'files already'],
] as const)('%s is %s', { timeout: 30_000 }, async ([name, said]) => {
  const renamed = tree();
  await expect(renameProject(renamed, name)).rejects.toThrow(said);
  expect(renamed.listChanges()).toEqual([]);
});

test('the lockfile is in the order of npm, and the links follow', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rename-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const lock = {
    packages: {
      'libs/oar': { name: '@dinghy/oar', dependencies: { '@dinghy/paddle': '*', '@nx/devkit': '1.0.0' } },
      'node_modules/@dinghy/oar': { resolved: 'libs/oar', link: true },
      'node_modules/@nx/devkit': { version: '1.0.0', integrity: 'sha512-dinghy' },
    },
  };
  mkdirSync(join(folder, 'libs/oar'), { recursive: true });
  mkdirSync(join(folder, 'node_modules/@dinghy'), { recursive: true });
  symlinkSync('../../libs/oar', join(folder, 'node_modules/@dinghy/oar'), 'junction');
  writeFileSync(join(folder, 'node_modules/.package-lock.json'), JSON.stringify(lock));
  settleRename(folder, 'dinghy', 'yacht');
  expect(lstatSync(join(folder, 'node_modules/@yacht/oar')).isSymbolicLink()).toBe(true);
  expect(existsSync(join(folder, 'node_modules/@yacht/oar'))).toBe(true);
  expect(existsSync(join(folder, 'node_modules/@dinghy'))).toBe(false);
  const text = readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8');
  expect(Object.entries(JSON.parse(text).packages)).toEqual([
    ['libs/oar', { name: '@yacht/oar', dependencies: { '@nx/devkit': '1.0.0', '@yacht/paddle': '*' } }],
    ['node_modules/@nx/devkit', { version: '1.0.0', integrity: 'sha512-dinghy' }],
    ['node_modules/@yacht/oar', { resolved: 'libs/oar', link: true }],
  ]);
  expect(text.indexOf('@nx/devkit')).toBeLessThan(text.indexOf('@yacht/paddle'));
});
