import { Refusal } from './refusal.ts';
import { MAIN, type Repository } from './repository.ts';
import { compare, isPreview, isVersion, nextVersion } from './versions.ts';

/** The version of the release to be made. @throws Refusal */
export function versionOf(repository: Repository, wanted: string): string {
  const { version, branch, tags, tagsHere } = repository;
  const next = nextVersion(version, wanted);
  if (next === undefined)
    throw new Refusal(
      `"${wanted}" is no version: say patch, minor, major or one such as ${nextVersion(version, 'minor')}.`,
    );
  refuseChanges(repository);
  if (branch !== MAIN) throw new Refusal(`A release is made on the branch ${MAIN}, and this is ${branch ?? 'none'}.`);
  if (compare(next, version) <= 0) throw new Refusal(`${next} is not newer than ${version}, which package.json says.`);
  if (tags.includes(`v${next}`)) throw new Refusal(`The tag v${next} is there already: say another version.`);
  if (tagsHere.length > 0)
    throw new Refusal(`This commit is ${tagsHere[0]} already: npm run release, without a version, publishes it.`);
  return next;
}

/** What the images of the commit are called, apart from the commit itself. @throws Refusal */
export function channelsOf(repository: Repository): string[] {
  const { version, tags, tagsHere, isOnMain, isNewest } = repository;
  refuseChanges(repository);
  const other = tagsHere.find((tag) => tag !== `v${version}`);
  if (other)
    throw new Refusal(
      `This commit has the tag ${other}, but its package.json says ${version}: npm run release makes both agree, see --help.`,
    );
  const isRelease = tagsHere.length > 0;
  if (!isRelease && !isOnMain)
    throw new Refusal(`This commit is neither a release, with the tag v${version}, nor one of ${MAIN}.`);
  const released = tags.map((tag) => tag.slice(1)).filter((tag) => isVersion(tag) && !isPreview(tag));
  const isStable = isRelease && !isPreview(version) && released.every((other) => compare(other, version) <= 0);
  return [...(isRelease ? [`v${version}`] : []), ...(isStable ? ['stable'] : []), ...(isNewest ? ['latest'] : [])];
}

function refuseChanges({ changed }: Repository) {
  if (changed.length > 0)
    throw new Refusal(`${changed[0]} differs from the commit that the images would tell of: commit it or put it away.`);
}
