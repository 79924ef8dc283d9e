import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { serviceOf, succeeded, type ComposeStack } from '../compose/compose-stack.ts';
import { freshClone } from '../compose/fresh-clone.ts';
import { deriveRelease, makeRelease, openDeployedStack, removeDeployed } from './deployed-stack.ts';
import { killed } from './killed.ts';
import { ownIngress } from './own-ingress.ts';
import { sentence } from './sentence.ts';
import { ADDRESS, bearableRate, underLoad, type Target } from './under-load.ts';

// `scripts/deploy` and `scripts/rollback`, from an empty machine on: one story, told in order, most of it under load. A
// release is the first one with a change, in images that are on this machine.

const IMAGES = ['identity-api', 'roster-api', 'exports-worker', 'proxy', 'provision', 'backup'];

const clone = freshClone();
const scratch = mkdtempSync(join(tmpdir(), 'keelson-e2e-deploy-'));
const ingress = await ownIngress('keelson-e2e-deploy', ADDRESS);
const settingsFile = join(clone.folder, '.env.e2e');
let stack: ComposeStack;
let target: Target & { ca: string };
let rate: number;

beforeAll(async () => {
  stack = await openDeployedStack(clone.folder, 'keelson-e2e-deploy', ingress.settings);
  target = {
    url: `https://${stack.project}.keelson.test`,
    connect: `${ADDRESS}:${ingress.tlsPort}`,
    ca: join(scratch, 'ca.pem'),
    tokenCommand: stack.tokenCommand,
    ledger: join(scratch, 'ledger'),
  };
  set(/^#ROSTER_API_REPLICAS=.*/m, 'ROSTER_API_REPLICAS=1');
  set(/^#IDENTITY_API_REPLICAS=.*/m, 'IDENTITY_API_REPLICAS=1');
  await removeDeployed(stack, ingress.network); // what a run that was killed left
  await makeRelease(stack, 'v1', IMAGES);
});
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  console.error(await stack.account(), (await stack.run('scripts/ingress', 'logs', '--tail=40')).output);
});
afterAll(async () => {
  await removeDeployed(stack, ingress.network);
  clone.remove();
  rmSync(scratch, { recursive: true });
});

const set = (old: RegExp, value: string) =>
  writeFileSync(settingsFile, readFileSync(settingsFile, 'utf8').replace(old, value));

const release = (tag: string, changes: Record<string, string> = {}, from = 'v1') =>
  deriveRelease(stack, IMAGES, from, tag, {
    ...changes,
    'roster-api': `ENV SERVICE_VERSION=${tag}\n${changes['roster-api'] ?? ''}`,
  });
const migration = (name: string, sql: string) => `
USER root
RUN mkdir prisma/migrations/20990101000000_${name} && \\
  echo '${sql}' >prisma/migrations/20990101000000_${name}/migration.sql
USER node`;

const deploy = (...args: string[]) => stack.run('scripts/deploy', ...args);
const rollback = (...args: string[]) => stack.run('scripts/rollback', ...args);
const tagInSettings = () => /^IMAGE_TAG=(.*)$/m.exec(readFileSync(settingsFile, 'utf8'))![1];

/** Those of the stack, Postgres aside, as `service tag`; and their ids. */
async function running() {
  const containers = (await stack.containers()).filter((container) => serviceOf(container) !== 'postgres');
  const { docker } = stack;
  const images = await Promise.all(
    containers.map(async ({ Id }) =>
      succeeded(await docker('inspect', '--format={{.Config.Image}} {{.State.Status}}', Id)),
    ),
  );
  return {
    ids: containers.map(({ Id }) => Id).toSorted(),
    releases: images.map((image) => image.replace(`${stack.project}/`, '')).toSorted(),
  };
}
const all = (tag: string, replicas = 1) =>
  ['backup', 'exports-worker', 'identity-api', 'proxy', ...Array<string>(replicas).fill('roster-api')].map(
    (service) => `${service}:${tag} running`,
  );

/** What clients ask for goes through the ingress. */
const unnoticed = (act: () => Promise<void>) => underLoad(target, rate, act);

/** Deploys in a row, and back to the last but one, which takes no longer than half a minute where this machine is not slow. */
async function deploysAndARollback(tags: string[], replicas: number) {
  const previous = [tagInSettings(), ...tags].at(-2)!;
  let deployMs = 0;
  for (const tag of tags) {
    const before = await running();
    const deployed = await deploy(tag);
    const said = succeeded(deployed);
    deployMs += deployed.ms / tags.length;
    const after = await running();
    expect(after.releases).toEqual(all(tag, replicas));
    expect(after.ids.filter((id) => before.ids.includes(id))).toEqual([]);
    expect(said).toContain('leaves the schema as it is');
  }
  const { output, ms } = await rollback().then((ran) => (succeeded(ran), ran));
  expect(sentence(output)).toBe(`${previous} runs in the stack e2e again.`);
  expect((await running()).releases).toEqual(all(previous, replicas));
  expect(tagInSettings()).toBe(previous);
  console.log(`a rollback after ${Math.round(ms)} ms, a deploy after ${Math.round(deployMs)} ms`);
  expect(ms).toBeLessThan(Math.max(30_000, deployMs * 0.75));
}

test('wants to know which release', async () => {
  const { status, output } = await deploy();
  expect([status, sentence(output)]).toEqual([1, 'Which release? Name its TAG, or set IMAGE_TAG in .env.e2e.']);
});

test('a release that has no images is refused', async () => {
  const { status, output } = await deploy('nowhere');
  expect([status, sentence(output)]).toEqual([
    1,
    expect.stringContaining(`There is no image ${stack.project}/identity-api:nowhere`),
  ]);
});

test('the first release comes to an empty machine, and is what Compose knows of', async () => {
  succeeded(await stack.run('scripts/ingress', 'down'));
  const { output } = await deploy('v1').then((ran) => (succeeded(ran), ran));
  expect(output).toContain('ingress: starts');
  expect(sentence(output)).toBe('v1 runs in the stack e2e.');
  const { ids, releases } = await running();
  expect(releases).toEqual(all('v1'));
  expect(tagInSettings()).toBe('v1');
  await stack.up();
  expect((await running()).ids).toEqual(ids);
  const certificate = await stack.compose('exec', '-T', 'proxy', 'cat', '/certificates/current/fullchain.pem');
  writeFileSync(target.ca, `${succeeded(certificate)}\n`);
  rate = await bearableRate(target);
});

test('there is nothing before the first one', async () => {
  const { status, output } = await rollback();
  expect([status, sentence(output)]).toEqual([1, expect.stringMatching(/^There is no release before v1 /)]);
});

test('a deploy and a rollback are unnoticed, with one replica', async () => {
  await release('v2');
  await unnoticed(() => deploysAndARollback(['v2'], 1));
  const health = await stack.compose('exec', '-T', 'proxy', 'curl', '--silent', 'http://roster-api:3000/healthz');
  expect(JSON.parse(succeeded(health))).toMatchObject({ version: 'v1' });
});

const BROKEN = [
  {
    tag: 'ends',
    change: `CMD ["node", "-e", "process.exit(3)"]`,
    why: /^roster-api ends does not start: .* exit code 3\.$/,
  },
  {
    tag: 'sick',
    change: `CMD ["node", "-e", "http.createServer((_, res) => res.writeHead(500).end()).listen(3000)"]`,
    why: /^roster-api sick does not get healthy within 30 s: GET \/healthz on port 3000: 500$/,
  },
  {
    tag: 'stuck',
    change: migration('broken', 'ALTER TABLE "Worker" ADD COLUMN more TEXT; INSERT INTO nowhere VALUES (1);'),
    why: /^roster-api stuck: migration 20990101000000_broken failed: .*relation "nowhere" does not exist$/,
  },
];

test('a release that does not start, never gets healthy or fails its migration changes nothing, unnoticed', async () => {
  for (const { tag, change } of BROKEN) await release(tag, { 'roster-api': change });
  const before = await running();
  await unnoticed(async () => {
    for (const { tag, why } of BROKEN) {
      const { status, output } = await deploy('--patience', '30', tag);
      expect([status, sentence(output)]).toEqual([1, expect.stringMatching(why)]);
      expect((await running()).ids).toEqual(before.ids);
      expect(tagInSettings()).toBe('v1');
    }
  });
});

test('what fails only once it is among the others is taken back, unnoticed', async () => {
  succeeded(await stack.compose('exec', '-T', 'exports-worker', 'touch', '/media/only-here'));
  await release('late', {
    'exports-worker': `CMD ["sh", "-c", "[ ! -e /media/only-here ] || exit 3; exec node main.mjs"]`,
  });
  const before = await running();
  await unnoticed(async () => {
    const { status, output } = await deploy('late');
    expect([status, sentence(output)]).toEqual([1, expect.stringMatching(/^exports-worker late does not start: /)]);
  });
  const after = await running();
  expect(after.releases).toEqual(all('v1'));
  expect(after.ids.filter((id) => before.ids.includes(id)).length).toBe(2); // the worker and the backup service
});

test('a deploy that is killed, three in a row and rollbacks are unnoticed, with two replicas', async () => {
  set(/^ROSTER_API_REPLICAS=.*/m, 'ROSTER_API_REPLICAS=2');
  // It adds a column, with which v1 can live.
  await release('more', { 'roster-api': migration('more', 'ALTER TABLE "Worker" ADD COLUMN more TEXT;') });
  for (const tag of ['v3', 'v4']) await release(tag, {}, 'more');
  await unnoticed(async () => {
    expect(await killedDeploy('more')).toContain('v1, which runs, with the schema of more');
    const tags = (await running()).releases.map((release) => /:(\w+) running$/.exec(release)?.[1]);
    expect(tags).toEqual(expect.arrayContaining(['more', 'v1']));
    succeeded(await rollback());
    expect((await running()).releases).toEqual(all('v1', 2));
    await deploysAndARollback(['more', 'v3', 'v4'], 2);
  });
});

/** With containers of both releases. */
const killedDeploy = (tag: string) =>
  killed(stack, clone.folder, `scripts/deploy ${tag}`, async () => {
    const second = await deploy('v2');
    expect([second.status, sentence(second.output)]).toEqual([
      1,
      expect.stringMatching(/^Another one is under way in the stack e2e, by the test: deploy of more, since 20.*Z\.$/),
    ]);
  });

test('a release with whose schema the one that runs could not live is refused, unless somebody says why not', async () => {
  const without = migration('less', 'ALTER TABLE "Worker" DROP COLUMN role;').replace('RUN', 'RUN rm smoke.mjs &&');
  await release('less', { 'roster-api': without });
  const before = await running();
  const checked = await deploy('--check', 'less');
  const refused =
    /^v3, which runs, could not live with the schema of less: roster-api v3 fails its smoke test: POST \/api\/v1\/workers answers 500/;
  expect([checked.status, sentence(checked.output)]).toEqual([1, expect.stringMatching(refused)]);
  expect((await running()).ids).toEqual(before.ids);
  succeeded(await deploy('--allow-incompatible', 'nobody uses roles', 'less'));
  expect((await running()).releases).toEqual(all('less', 2));
});

test('nor does a rollback go to a release that could not live with the schema that is there', async () => {
  const before = await running();
  // It was not tried with that when it came, or was seen not to live with it.
  for (const [to, ...args] of [['v1', 'v1'], ['v3']] as const) {
    const { status, output } = await rollback(...args);
    const refused = `^${to} could not live with the schema that is there \\(.*\\): roster-api ${to} fails its smoke test: `;
    expect([status, sentence(output)]).toEqual([1, expect.stringMatching(refused)]);
  }
  expect((await running()).ids).toEqual(before.ids);
  succeeded(await rollback('--allow-incompatible', 'nobody uses roles', 'v4'));
  expect((await running()).releases).toEqual(all('v4', 2));
});

test('the log says what was done, by whom, and how it ended', async () => {
  const lines = succeeded(await deploy('--log')).split('\n');
  const parts = lines.map((line) =>
    /^\S+Z {2}(\S+) +(\S+) +(\S+) +\d+ s {2}the test(.*)$/.exec(line)?.slice(1, 4).join(' '),
  );
  expect(parts).toEqual([
    'deploy nowhere failed',
    'deploy v1 ok',
    'deploy v2 ok',
    'rollback v1 ok',
    ...BROKEN.map(({ tag }) => `deploy ${tag} failed`),
    'deploy late failed',
    'deploy more began',
    'rollback v1 ok',
    'deploy more ok',
    'deploy v3 ok',
    'deploy v4 ok',
    'rollback v3 ok',
    'deploy less ok',
    'rollback v1 failed',
    'rollback v3 failed',
    'rollback v4 ok',
  ]);
  expect(lines.at(-4)).toMatch(/incompatible: nobody uses roles$/);
});
