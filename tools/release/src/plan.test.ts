import { describe, expect, test } from 'vitest';
import { channelsOf, versionOf } from './plan.ts';
import type { Repository } from './repository.ts';

/** The newest commit of main, after the release of 1.2.3, with what is given instead. */
const repository = (instead: Partial<Repository> = {}): Repository => ({
  version: '1.2.3',
  commit: 'c0ffee',
  branch: 'main',
  changed: [],
  tags: ['v1.2.2', 'v1.2.3'],
  tagsHere: [],
  isOnMain: true,
  isNewest: true,
  ...instead,
});
const tagged = { tagsHere: ['v1.2.3'] };
const older = { isNewest: false };
const elsewhere = { isNewest: false, isOnMain: false };

describe('the images of a commit are called', () => {
  test.for<[string, Partial<Repository>, string[]]>([
    ['latest, the newest of main', {}, ['latest']],
    ['nothing else, an older one of main', older, []],
    ['by version, stable and latest, the newest release', tagged, ['v1.2.3', 'stable', 'latest']],
    ['by version and stable, a release that main has left behind', { ...tagged, ...older }, ['v1.2.3', 'stable']],
    ['by version and stable, one of another branch', { ...tagged, ...elsewhere }, ['v1.2.3', 'stable']],
    [
      'by version alone, one that is older than another',
      { ...tagged, ...older, tags: ['v1.2.3', 'v1.10.0'] },
      ['v1.2.3'],
    ],
    [
      'stable, although a preview is newer',
      { ...tagged, ...older, tags: ['v1.2.3', 'v2.0.0-rc.1'] },
      ['v1.2.3', 'stable'],
    ],
    [
      'by version alone, a preview',
      { ...elsewhere, version: '2.0.0-rc.1', tags: ['v1.2.3', 'v2.0.0-rc.1'], tagsHere: ['v2.0.0-rc.1'] },
      ['v2.0.0-rc.1'],
    ],
  ])('%s', ([, instead, channels]) => {
    expect(channelsOf(repository(instead))).toEqual(channels);
  });

  test.for<[Partial<Repository>, string]>([
    [{ tagsHere: ['v1.2.4'] }, 'This commit has the tag v1.2.4, but its package.json says 1.2.3'],
    [{ tagsHere: ['v1.2.3', 'v1.2.4'] }, 'This commit has the tag v1.2.4, but its package.json says 1.2.3'],
    [{ changed: ['README.md'] }, 'README.md differs from the commit'],
    [elsewhere, 'This commit is neither a release, with the tag v1.2.3, nor one of main.'],
  ])('not with %j', ([instead, sentence]) => {
    expect(() => channelsOf(repository(instead))).toThrow(sentence);
  });
});

describe('a release', () => {
  test('has the next version', () => {
    expect(versionOf(repository(), 'minor')).toBe('1.3.0');
    expect(versionOf(repository(), '2.0.0-rc.1')).toBe('2.0.0-rc.1');
  });

  test.for<[string, Partial<Repository>, string]>([
    ['big', {}, '"big" is no version: say patch, minor, major or one such as 1.3.0.'],
    ['minor', { changed: ['README.md'] }, 'README.md differs from the commit'],
    ['minor', { branch: 'topic' }, 'A release is made on the branch main, and this is topic.'],
    ['minor', { branch: undefined }, 'A release is made on the branch main, and this is none.'],
    ['1.2.3', {}, '1.2.3 is not newer than 1.2.3, which package.json says.'],
    ['1.1.9', {}, '1.1.9 is not newer than 1.2.3, which package.json says.'],
    ['minor', { tags: ['v1.3.0'] }, 'The tag v1.3.0 is there already: say another version.'],
    ['minor', tagged, 'This commit is v1.2.3 already: npm run release, without a version, publishes it.'],
  ])('%s is refused with %j', ([wanted, instead, sentence]) => {
    expect(() => versionOf(repository(instead), wanted)).toThrow(sentence);
  });
});
