import { expect, test } from 'vitest';
import { lockfile, type Locked } from './lockfile.ts';
import { brief, problemsOf } from './testing.ts';

const integrity = 'sha512-abc';
const problems = async (express: Locked, wanted = '5.3.0', more: Record<string, Locked> = {}) => {
  const packages = {
    '': { workspaces: ['libs/*'] },
    'libs/http': { name: '@keelson/http', dependencies: { express: '5.3.0' } },
    'node_modules/@keelson/http': { resolved: 'libs/http', link: true },
    'node_modules/express': { version: '5.3.0', ...express },
    ...more,
  };
  return brief(
    await problemsOf(lockfile, {
      'package-lock.json': JSON.stringify({ packages }, null, 2),
      'package.json': '{ "workspaces": ["libs/*"] }',
      'libs/http/package.json': `{ "name": "@keelson/http", "dependencies": { "express": "${wanted}" } }`,
    }),
  );
};

test('a lock of digests, in step with package.json, is right', async () => {
  expect(await problems({ integrity })).toEqual([]);
});

test.for<[string, Locked, string]>([
  ['without a digest', {}, 'has no sha512 digest'],
  ['with a weak digest', { integrity: 'sha1-abc' }, 'has no sha512 digest'],
  ['from a host', { integrity, resolved: 'https://example.com/e.tgz' }, 'comes from https://example.com/e.tgz'],
  ['from a repository', { resolved: 'git+ssh://git@example.com/e.git' }, 'comes from git+ssh://git@example.com/e.git'],
  ['from a folder elsewhere', { resolved: '../express', link: true }, 'comes from ../express'],
])('a package %s is refused', async ([, express, what]) => {
  expect(await problems(express)).toEqual([`package-lock.json:18 node_modules/express ${what}`]);
});

test('a lock that is not that of package.json is refused', async () => {
  expect(await problems({ integrity }, '5.3.1')).toEqual([
    'package-lock.json:8 libs/http has express 5.3.0, its package.json 5.3.1',
  ]);
  expect(await problems({ integrity }, '5.3.0', { 'libs/gone': {} })).toEqual([
    'package-lock.json:22 libs/gone is no package of this repository',
  ]);
});

test.for(['^5.3.0', '5.x', 'latest', '*', 'github:expressjs/express'])('%s is no exact version', async (spec) => {
  expect(await problems({ integrity }, spec)).toContain(`libs/http/package.json:1 express is wanted as "${spec}"`);
});
