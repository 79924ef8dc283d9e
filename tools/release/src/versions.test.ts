import { expect, test } from 'vitest';
import { compare, nextVersion } from './versions.ts';

test.for([
  ['1.2.3', 'patch', '1.2.4'],
  ['1.2.3', 'minor', '1.3.0'],
  ['1.2.3', 'major', '2.0.0'],
  ['0.1.0', 'minor', '0.2.0'],
  ['1.3.0-rc.1', 'minor', '1.3.0'],
  ['1.3.1-rc.1', 'patch', '1.3.1'],
  ['1.3.1-rc.1', 'minor', '1.4.0'],
  ['2.0.0-rc.1', 'major', '2.0.0'],
  ['1.2.3', '1.3.0-rc.1', '1.3.0-rc.1'],
  ['1.2.3', '4.5.6', '4.5.6'],
  ['1.2.3', 'v1.2.4', undefined],
  ['1.2.3', 'huge', undefined],
  ['1.2.3', '1.2', undefined],
] as const)('%s and %s is %s', ([present, wanted, next]) => {
  expect(nextVersion(present, wanted)).toBe(next);
});

test('versions have an order', () => {
  const ordered = ['0.9.10', '1.0.0-rc.2', '1.0.0-rc.10', '1.0.0', '1.0.1', '1.2.0', '1.10.0', '2.0.0'];
  expect(ordered.toReversed().sort(compare)).toEqual(ordered);
});
