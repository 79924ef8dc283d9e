import { expect, test } from 'vitest';
import { isAllowed, licences } from './licences.ts';
import { brief, problemsOf } from './testing.ts';

const problems = async (locked: object, name = 'left') =>
  brief(
    await problemsOf(licences, {
      'package-lock.json': JSON.stringify(
        { packages: { [`node_modules/${name}`]: { version: '1.0.0', ...locked } } },
        null,
        2,
      ),
    }),
  );

test('a licence that nobody has allowed is refused, and so is none', async () => {
  expect(await problems({ license: 'MIT' })).toEqual([]);
  const where = 'package-lock.json:3 left 1.0.0 has';
  expect(await problems({ license: 'GPL-3.0' })).toEqual([`${where} the licence GPL-3.0, and may be in an image`]);
  expect(await problems({ dev: true })).toEqual([`${where} no licence`]);
  expect(await problems({}, 'ssh2')).toEqual([]);
});

test('some are allowed for tools alone', async () => {
  expect(await problems({ license: 'MPL-2.0', dev: true })).toEqual([]);
  expect(await problems({ license: 'MPL-2.0' })).toHaveLength(1);
});

test.for([
  ['(MIT OR GPL-3.0)', true],
  ['(GPL-2.0 OR GPL-3.0)', false],
  ['MIT AND ISC', true],
  ['MIT AND GPL-3.0', false],
  ['(MIT OR GPL-3.0) AND CC-BY-3.0', false],
  ['GPL-3.0 AND X OR MIT', false],
] as const)('%s: %s', ([expression, expected]) => {
  expect(isAllowed(expression, ['MIT', 'ISC'])).toBe(expected);
});
