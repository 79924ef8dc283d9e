import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openComposeStack, succeeded, type ComposeStack } from '../compose/compose-stack.ts';

/** All of a test's requests come from one client: any number of them in a second. */
export const ANY_RATE = { PROXY_RATE_LIMIT: '10000r/s', PROXY_SIGN_IN_RATE_LIMIT: '10000r/s' };
/** And any number of them at once. */
const NO_LIMITS = { ...ANY_RATE, PROXY_CLIENT_REQUESTS: '10000' };

/** What is read of the environment by all that acts on it. */
export const SETTINGS = { STACK: 'e2e', COMPOSE_ENV_FILES: '.env.e2e', DEPLOY_BY: 'the test' };

/**
 * A stack called e2e as `scripts/setup e2e` makes it, for its own ingress. Nothing of it runs yet.
 * @param limits the proxy's, for one client
 */
export async function openDeployedStack(
  folder: string,
  name: string,
  ingress: Record<string, string>,
  limits: Record<string, string> = NO_LIMITS,
) {
  const stack = await openComposeStack(folder, name, { ...SETTINGS, ...ingress });
  succeeded(await stack.run('env', `DOMAIN=${stack.project}.keelson.test`, 'scripts/setup', 'e2e'));
  const file = join(folder, '.env.e2e');
  writeFileSync(join(folder, 'one-client.yml'), JSON.stringify({ services: { proxy: { environment: limits } } }));
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^COMPOSE_FILE=.*/m, '$&:one-client.yml'));
  return stack;
}

/** A first release: its images, an ingress and a certificate, so that it only has to be deployed. */
export async function makeRelease(stack: ComposeStack, tag: string, images: string[]) {
  const own = (...command: string[]) => stack.run('env', `IMAGE_TAG=${tag}`, `SERVICE_VERSION=${tag}`, ...command);
  succeeded(await own('docker', 'buildx', 'bake', '--file=docker-bake.hcl', '--load', ...images, 'ingress'));
  succeeded(await own('scripts/ingress'));
  succeeded(await own('scripts/certificate', '--self-signed'));
}

/**
 * Images of the release `tag`, which is the release `from` but for these lines of Dockerfiles: those without any are the same.
 * @param changes by image
 */
export async function deriveRelease(
  { project, docker }: ComposeStack,
  images: string[],
  from: string,
  tag: string,
  changes: Record<string, string>,
) {
  const context = mkdtempSync(join(tmpdir(), 'keelson-e2e-release-'));
  for (const image of images) {
    const [old, derived] = [`${project}/${image}:${from}`, `${project}/${image}:${tag}`];
    const change = changes[image];
    writeFileSync(join(context, 'Dockerfile'), `FROM ${old}\n${change}\n`);
    succeeded(await docker(...(change ? ['build', '--quiet', `--tag=${derived}`, context] : ['tag', old, derived])));
  }
  rmSync(context, { recursive: true });
}

/** All that deploys have made, by its name. */
export async function removeDeployed(stack: ComposeStack, network: string) {
  const { project } = stack;
  await stack.docker('rm', '--force', `${project}-deploy`, ...(await stack.containers()).map(({ Id }) => Id));
  const down = ['docker', 'compose', 'down', '--volumes', '--remove-orphans', '--timeout=3'];
  await stack.run('env', 'IMAGE_TAG=none', `COMPOSE_PROJECT_NAME=${project}-rehearsal`, ...down);
  await stack.run('env', 'IMAGE_TAG=none', ...down);
  await stack.run('scripts/ingress', 'down', '--volumes', '--timeout=3');
  await stack.docker('network', 'rm', network);
  await stack.docker('volume', 'rm', `${project}_deploys`, `${project}_certificates`);
  await stack.removeImages(project);
}
