import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { Refusal } from './refusal.ts';

const execute = promisify(execFile);
const BAKE = ['buildx', 'bake', '--file=docker-bake.hcl'];
const UNKNOWN_USER = /no basic auth credentials|401 unauthorized/i;
/** Some registries do not tell a stranger's image from none. */
const ABSENT = /not found|not exist|(name|manifest)[ _]unknown|denied|insufficient_scope|forbidden/i;

export type Image = { digest: string; labels: Record<string, string> };

/** Docker, as far as a release needs it. */
export function images(root: string, registry: string) {
  const docker = async (...args: string[]) => (await execute('docker', args, { cwd: root })).stdout;
  const reference = (name: string, tag: string) => `${registry}/${name}:${tag}`;

  return {
    async names(): Promise<string[]> {
      return Object.keys(JSON.parse(await docker(...BAKE, '--print')).target);
    },

    /** What the registry has by this tag. @throws Refusal where it does not answer */
    async find(name: string, tag: string): Promise<Image | undefined> {
      try {
        const said = await docker('buildx', 'imagetools', 'inspect', reference(name, tag), '--format={{json .}}');
        const { manifest, image } = JSON.parse(said);
        // One for each platform, where there are several.
        const { config } = image.config ? image : Object.values<typeof image>(image)[0];
        return { digest: manifest.digest, labels: config.Labels ?? {} };
      } catch (error) {
        const { stderr } = error as { stderr?: string };
        if (stderr === undefined) throw error;
        if (UNKNOWN_USER.test(stderr))
          throw new Refusal(`The registry does not know you: docker login ${registry.split('/')[0]}`);
        if (ABSENT.test(stderr)) return undefined;
        throw new Refusal(`The registry ${registry} does not answer: ${stderr.trim()}`);
      }
    },

    /** Builds in parallel, and pushes. @throws Refusal */
    build(names: string[], tag: string, variables: Record<string, string>) {
      const env = { ...process.env, ...variables, REGISTRY: registry, IMAGE_TAG: tag };
      const { status } = spawnSync('docker', [...BAKE, '--push', ...names], { cwd: root, env, stdio: 'inherit' });
      if (status !== 0) throw new Refusal('Not all images were built and pushed: nothing is tagged.');
    },

    /** Further tags for an image that is in the registry, which keeps its digest. */
    async tag(name: string, from: string, tags: string[]) {
      const to = tags.map((tag) => `--tag=${reference(name, tag)}`);
      await docker('buildx', 'imagetools', 'create', '--prefer-index=false', ...to, reference(name, from));
    },
  };
}
