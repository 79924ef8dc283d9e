import { affectedSince } from './affected.ts';
import { images, type Image } from './images.ts';
import { channelsOf } from './plan.ts';
import { Refusal } from './refusal.ts';
import type { Repository } from './repository.ts';

type Options = { root: string; registry: string; build: string; dryRun: boolean; say: (line: string) => void };

/** Sees to it that the registry has every image of the commit, by all its tags. @throws Refusal */
export async function publish(repository: Repository, { root, registry, build, dryRun, say }: Options) {
  const { commit, version } = repository;
  const channels = channelsOf(repository);
  const docker = images(root, registry);
  const names = await docker.names();

  const found = await Promise.all(
    names.map(async (name) => {
      const [own, latest, released] = await Promise.all(
        [commit, 'latest', `v${version}`].map((tag) => docker.find(name, tag)),
      );
      const isOther = released && released.digest !== own?.digest && revisionOf(released) !== commit;
      if (isOther && channels.includes(`v${version}`))
        throw new Refusal(
          `${registry}/${name}:v${version} is there already, and not of this commit: it stays as it is.`,
        );
      return { name, own, latest };
    }),
  );
  const missing = found.filter(({ own }) => !own);
  const isUnchanged = unchanged(root, version);
  const reused = missing.filter(({ name, latest }) => latest && isUnchanged(name, latest)).map(({ name }) => name);
  const built = missing.map(({ name }) => name).filter((name) => !reused.includes(name));

  const state = (name: string) =>
    built.includes(name) ? 'is built' : reused.includes(name) ? 'has not changed since :latest' : 'is there already';
  for (const name of names) say(`${name} ${state(name)}`);
  const told = `${registry}/…:${[commit, ...channels].join(' :')}`;
  if (dryRun) return say(`Nothing is pushed: this is a dry run of ${told}`);

  const variables = { SERVICE_VERSION: version, SERVICE_COMMIT: commit, BUILD_NUMBER: build };
  if (built.length > 0) docker.build(built, commit, variables);
  for (const name of reused) await docker.tag(name, 'latest', [commit]);
  // Only once all are there: who deploys :stable is to find a whole release.
  for (const name of channels.length > 0 ? names : []) await docker.tag(name, commit, channels);
  say(`Pushed ${told}`);
}

const revisionOf = ({ labels }: Image) => labels['org.opencontainers.image.revision'];

/** Whether an image would be built to what it is already: of this version, and of nothing that was changed since. */
function unchanged(root: string, version: string) {
  const known = new Map<string, string[] | undefined>();
  return (name: string, latest: Image) => {
    const commit = revisionOf(latest);
    if (!commit || latest.labels['org.opencontainers.image.version'] !== version) return false;
    if (!known.has(commit)) known.set(commit, affectedSince(root, commit));
    return known.get(commit)?.includes(name) === false;
  };
}
