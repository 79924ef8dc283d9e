import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freePorts, openComposeStack, succeeded, type ComposeStack } from '../compose/compose-stack.ts';
import { freshClone, root } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';
import { deriveRelease } from './deployed-stack.ts';
import { sentence } from './sentence.ts';
import { ADDRESS, bearableRate, underLoad, type Target } from './under-load.ts';

// `scripts/swarm` on a swarm of this machine alone, from nothing on: one story, told in order. What asks comes the whole way,
// with TLS, as everybody does.

const ROLLED = { backup: 1, 'exports-worker': 1, 'identity-api': 1, proxy: 1, 'roster-api': 2 };

const hash = createHash('sha256').update(root).digest('hex').slice(0, 8);
const NETWORK = `keelson-e2e-swarm-outer-${hash}`;
const INGRESS = `keelson-e2e-swarm-ingress-${hash}`;

/** All of the load comes from one client; and other stacks on the machine have a way in of their own. */
const SETTINGS = `
services: { proxy: { environment: { PROXY_RATE_LIMIT: 10000r/s, PROXY_CLIENT_REQUESTS: 10000 } } }
networks: { outer: { name: ${NETWORK} } }
`;

const clone = freshClone();
const scratch = mkdtempSync(join(tmpdir(), 'keelson-e2e-swarm-'));
let stack: ComposeStack;
let images: string[];
let target: Target & { ca: string };
let rate: number;
let isOwnSwarm = false;

beforeAll(async () => {
  const [httpPort, tlsPort] = (await freePorts(2)) as [number, number];
  stack = await openComposeStack(clone.folder, 'keelson-e2e-swarm', {
    STACK: 'swarm',
    COMPOSE_ENV_FILES: '.env.swarm',
    DEPLOY_BY: 'the test',
    SERVICE_VERSION: 'v1',
    INGRESS_PROJECT: INGRESS,
    INGRESS_HTTP_PORT: String(httpPort),
    INGRESS_HTTPS_PORT: String(tlsPort),
    INGRESS_CLIENT_CONNECTIONS: '5000',
    IDENTITY_API_REPLICAS: '1',
  });
  const domain = `${stack.project}.example.com`;
  const connect = `${ADDRESS}:${tlsPort}`;
  target = {
    url: `https://${domain}`,
    connect,
    ca: join(scratch, 'certificates.pem'),
    tokenCommand: stack.tokenCommand,
    ledger: join(scratch, 'ledger'),
  };
  succeeded(await stack.run('env', `DOMAIN=${domain}`, `REGISTRY=${stack.project}`, 'scripts/setup', 'swarm'));
  const file = join(clone.folder, '.env.swarm');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^COMPOSE_FILE=.*/m, '$&:settings.yml'));
  writeFileSync(join(clone.folder, 'settings.yml'), SETTINGS);
  await remove(); // what a run that was killed left
  const config = ['docker', 'compose', '--profile=one-shot', 'config', '--images'];
  images = succeeded(await stack.run('env', 'IMAGE_TAG=v1', ...config))
    .split('\n')
    .flatMap((image) => /^(.*)\/(.*):v1$/.exec(image)?.[2] ?? [])
    .concat('ingress');
  succeeded(await stack.run('env', 'IMAGE_TAG=v1', 'docker', 'buildx', 'bake', '--file=docker-bake.hcl', '--load'));
  await release('v2', { 'roster-api': 'ENV SERVICE_VERSION=v2' });
  await release('broken', {
    'roster-api': 'ENV SERVICE_VERSION=broken',
    // In a rehearsal it has another volume.
    proxy: `USER root\nRUN sed -i '2i [ ! -e /media/only-here ] || exit 3' /docker-entrypoint.d/certificate.sh\nUSER nginx`,
  });
  succeeded(await stack.run('env', 'IMAGE_TAG=v1', 'scripts/certificate', '--self-signed'));
  await trustCertificate();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await account());
});
afterAll(async () => {
  await remove();
  // It would take their names from other containers on this machine.
  const areAlone = succeeded(await stack.docker('ps', '--quiet')) === '';
  if (isOwnSwarm && areAlone) succeeded(await stack.docker('swarm', 'leave', '--force'));
  clone.remove();
  rmSync(scratch, { recursive: true });
});

async function remove() {
  const { project, docker, run } = stack;
  const compose = ['docker', 'compose', 'down', '--volumes', '--remove-orphans', '--timeout=3'];
  await docker('rm', '--force', `${project}-deploy`);
  // With --detach=false it may wait for ever, since it misses the end of tasks that are gone already.
  await docker('stack', 'rm', project, INGRESS);
  await until('the end of the stack', 120, async () => !(await containers()));
  for (const name of [`${project}-rehearsal`, project])
    await run('env', 'IMAGE_TAG=none', `COMPOSE_PROJECT_NAME=${name}`, ...compose);
  await docker('network', 'rm', NETWORK);
  const node = await docker('info', '--format={{.Swarm.NodeID}}');
  await docker('node', 'update', `--label-rm=${project}.data`, node.stdout.trim());
  const ended = await containers('--all');
  if (ended) await docker('rm', '--force', '--volumes', ...ended.split('\n'));
  const volumes = ['postgres', 'media', 'certificates', 'deploys', 'backups', 'postgres-socket'].map(
    (name) => `${project}_${name}`,
  );
  await docker('volume', 'rm', '--force', ...volumes, `${INGRESS}_challenges`);
  await stack.removeImages(project);
}

/** Of the stack and of its ingress: their ids, each on a line. */
async function containers(...options: string[]) {
  const ofBoth = [stack.project, INGRESS].map((name) =>
    stack.docker('ps', '--quiet', ...options, `--filter=label=com.docker.stack.namespace=${name}`).then(succeeded),
  );
  return (await Promise.all(ofBoth)).filter(Boolean).join('\n');
}

/** Besides those before it: the certificate that is installed. */
async function trustCertificate() {
  const mount = `--volume=${stack.project}_certificates:/certificates:ro`;
  const cat = ['run', '--rm', '--network=none', mount, '--entrypoint=cat', `${stack.project}/proxy:v1`];
  const certificate = succeeded(await stack.docker(...cat, '/certificates/current/fullchain.pem'));
  appendFileSync(target.ca, `${certificate}\n`);
}

const release = (tag: string, changes: Record<string, string>) => deriveRelease(stack, images, 'v1', tag, changes);

async function account() {
  const { project, docker } = stack;
  const tasks = await docker('node', 'ps');
  const ofStack = `--filter=label=com.docker.stack.namespace=${project}`;
  const containers = succeeded(await docker('ps', '--all', '--format={{.Names}}', ofStack)).split('\n');
  const logs = await Promise.all(
    containers.map(async (name) => `${name}:\n${(await docker('logs', '--tail=40', name)).output}`),
  );
  return [tasks.output, ...logs].join('\n');
}

const swarm = (...args: string[]) => stack.run('scripts/swarm', ...args);
const tagInSettings = () => /^IMAGE_TAG=(.*)$/m.exec(readFileSync(join(clone.folder, '.env.swarm'), 'utf8'))![1];

/** Of each service that a release is made of, Postgres aside: which one it is to be, and which ones its tasks are. */
async function running() {
  const { project, docker } = stack;
  const services = Object.keys(ROLLED).map((service) => `${project}_${service}`);
  const format = '{{.Name}} {{.Image}} {{.CurrentState}}';
  const tasks = await docker('service', 'ps', '--filter=desired-state=running', `--format=${format}`, ...services);
  return succeeded(tasks)
    .split('\n')
    .map((line) => line.replaceAll(`${project}_`, '').replace(/^(\S+)\.\d+ \S+:(\S+) (\w+) .*$/, '$1 $2 $3'))
    .toSorted();
}
const all = (tag: string) =>
  Object.entries(ROLLED).flatMap(([service, replicas]) => Array(replicas).fill(`${service} ${tag} Running`));

const secrets = async () =>
  succeeded(await stack.docker('secret', 'ls', '--format={{.Name}}', `--filter=name=${stack.project}_`))
    .split('\n')
    .toSorted();

/** What has changed is another secret, and the one that nobody reads any more is gone. */
async function changedSecrets(before: string[]) {
  const after = await secrets();
  expect(after.length).toBe(before.length);
  const changed = after.filter((name) => !before.includes(name));
  return changed.map((name) => name.replace(`${stack.project}_`, '').replace(/-[0-9a-f]+$/, ''));
}

async function ask(path: string): Promise<number> {
  const [host, port] = target.connect!.split(':');
  const { hostname: servername } = new URL(target.url);
  const ca = readFileSync(target.ca);
  const request = https.get({
    host,
    port,
    path,
    ca,
    servername,
    headers: { ...(await stack.authorization()), host: servername },
    agent: false,
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode!;
}

/** A deploy, with load from the end of its rehearsal on: that one is the same with Compose, and shown there. */
async function deployUnderLoad(tag: string) {
  let ended = false;
  const deploying = swarm('deploy', tag).finally(() => (ended = true));
  const filter = `--filter=label=com.docker.compose.project=${stack.project}-rehearsal`;
  const rehearses = async () => succeeded(await stack.docker('ps', '--all', '--quiet', filter)) !== '';
  await until('the rehearsal', 300, async () => ended || (await rehearses()));
  await until('the end of the rehearsal', 600, async () => ended || !(await rehearses()));
  return underLoad(target, rate, () => deploying);
}

test('without a swarm there is nothing to deploy to', async () => {
  const state = succeeded(await stack.docker('info', '--format={{.Swarm.LocalNodeState}}'));
  if (state === 'inactive') {
    const { status, output } = await swarm('deploy', 'v1');
    expect([status, sentence(output)]).toEqual([
      1,
      'This machine is no manager of a swarm: docker swarm init makes it one.',
    ]);
    succeeded(await stack.docker('swarm', 'init', '--advertise-addr=127.0.0.1'));
    isOwnSwarm = true;
  }
});

test('the first release comes to an empty swarm', async () => {
  const { output } = await swarm('deploy', 'v1').then((ran) => (succeeded(ran), ran));
  expect(sentence(output)).toBe('v1 runs in the stack swarm.');
  expect(await running()).toEqual(all('v1'));
  await until('the proxy to find the API', 10, async () => (await ask('/api/v1/workers')) === 200);
  rate = await bearableRate(target);
});

test('the next one takes its place without a request that fails', async () => {
  const { output } = await deployUnderLoad('v2').then((ran) => (succeeded(ran), ran));
  expect(sentence(output)).toBe('v2 runs in the stack swarm.');
  expect(await running()).toEqual(all('v2'));
  expect(tagInSettings()).toBe('v2');
});

test('what does not run among the others is taken back, and so is all that came with it', async () => {
  const { project } = stack;
  const exec = ['exec', succeeded(await stack.docker('ps', '--quiet', `--filter=name=^${project}_exports-worker`))];
  succeeded(await stack.docker(...exec, 'touch', '/media/only-here'));
  const { status, output } = await deployUnderLoad('broken');
  expect([status, sentence(output)]).toEqual([1, 'proxy broken does not run: task: non-zero exit (3)']);
  expect(await running()).toEqual(all('v2'));
  expect(tagInSettings()).toBe('v2');
});

test('a rollback goes back without a request that fails, and so does a renewed certificate come', async () => {
  const before = await secrets();
  const { stdout } = await stack.run('scripts/certificate', '--self-signed');
  expect(stdout).toContain('scripts/swarm deploy brings it to the proxies');
  await trustCertificate();
  const { output } = await underLoad(target, rate, () => swarm('rollback').then((ran) => (succeeded(ran), ran)));
  expect(sentence(output)).toBe('v1 runs in the stack swarm again.');
  expect(await running()).toEqual(all('v1'));
  expect(tagInSettings()).toBe('v1');
  expect(await changedSecrets(before)).toEqual(['fullchain.pem', 'privkey.pem']);
});

test('other passwords come without a request that fails', async () => {
  const before = await secrets();
  const { output } = await underLoad(target, rate, () =>
    stack.run('scripts/secrets', 'rotate').then((ran) => (succeeded(ran), ran)),
  );
  expect(sentence(output)).toBe('The passwords of the database of the stack swarm have changed.');
  expect(await running()).toEqual(all('v1'));
  expect(await changedSecrets(before)).toEqual([
    'exports-worker-password',
    'identity-api-password',
    'roster-api-password',
  ]);
});

test('Compose does not begin with a stack that Swarm runs', async () => {
  const { status, output } = await stack.run('scripts/deploy', 'v1');
  expect([status, sentence(output)]).toEqual([1, 'The stack swarm runs in Docker Swarm: scripts/swarm is for that.']);
});

test('the log says what was done, by whom, and how it ended', async () => {
  const lines = succeeded(await swarm('log')).split('\n');
  expect(
    lines.map((line) => /^\S+Z {2}(\S+ +\S+ +\S+) +\d+ s {2}the test/.exec(line)?.[1]!.replace(/ +/g, ' ')),
  ).toEqual(['deploy v1 ok', 'deploy v2 ok', 'deploy broken failed', 'rollback v1 ok', 'rotate v1 ok']);
});
