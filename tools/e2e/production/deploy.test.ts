import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openComposeStack, serviceOf, succeeded, type ComposeStack } from '../compose/compose-stack.ts';
import { freshClone } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';

// `scripts/deploy` and `scripts/rollback`, from an empty machine on: one story, told in order. A release is the first one
// with a change, in images that are on this machine. What asks is beside the proxies, which for that speak plain HTTP.

const IMAGES = ['roster-api', 'exports-worker', 'proxy', 'provision'];
const REPLACED = ['exports-worker', 'proxy', 'roster-api', 'roster-api'];

const PLAIN = "services: { proxy: { environment: { PROXY_TLS: 'off' } } }\n";

const clone = freshClone();
const scratch = mkdtempSync(join(tmpdir(), 'keelson-e2e-deploy-'));
let stack: ComposeStack;

beforeAll(async () => {
  const settings = { STACK: 'e2e', COMPOSE_ENV_FILES: '.env.e2e', DEPLOY_BY: 'the test', SERVICE_VERSION: 'v1' };
  writeFileSync(join(clone.folder, 'plain.yml'), PLAIN);
  stack = await openComposeStack(clone.folder, 'keelson-e2e-deploy', settings);
  succeeded(
    await stack.run('env', `DOMAIN=${stack.project}.example.com`, `REGISTRY=${stack.project}`, 'scripts/setup', 'e2e'),
  );
  const file = join(clone.folder, '.env.e2e');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^COMPOSE_FILE=.*/m, '$&:plain.yml'));
  await remove(); // what a run that was killed left
  const base = ['IMAGE_TAG=v1', 'COMPOSE_FILE=docker-compose.yml'];
  succeeded(await stack.run('env', ...base, 'docker', 'compose', 'build', '--quiet', ...IMAGES));
  await release('v2', { 'roster-api': 'ENV SERVICE_VERSION=v2' });
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await stack.account());
});
afterAll(async () => {
  await remove();
  clone.remove();
  rmSync(scratch, { recursive: true });
});

async function remove() {
  const { project } = stack;
  await stack.docker('rm', '--force', `${project}-deploy`, `${project}-asker`);
  await stack.run(
    'env',
    'IMAGE_TAG=none',
    `COMPOSE_PROJECT_NAME=${project}-rehearsal`,
    'docker',
    'compose',
    'down',
    '--volumes',
  );
  await stack.run('env', 'IMAGE_TAG=none', 'docker', 'compose', 'down', '--volumes', '--remove-orphans', '--timeout=3');
  await stack.docker('volume', 'rm', `${project}_deploys`, `${project}_certificates`);
  const images = succeeded(await stack.docker('image', 'ls', '--quiet', `${project}/*`));
  if (images) await stack.docker('image', 'rm', '--force', ...new Set(images.split('\n')));
}

/** Images of a release that is another one but for these lines of Dockerfiles. */
async function release(tag: string, changes: Record<string, string>, from = 'v1') {
  for (const image of IMAGES) {
    const [old, name] = [from, tag].map((tag) => `${stack.project}/${image}:${tag}`);
    writeFileSync(join(scratch, 'Dockerfile'), `FROM ${old}\n${changes[image] ?? ''}\n`);
    succeeded(await stack.docker('build', '--quiet', `--tag=${name}`, scratch));
  }
}
const migration = (name: string, sql: string) => `
USER root
RUN mkdir prisma/migrations/20990101000000_${name} && \\
  echo '${sql}' >prisma/migrations/20990101000000_${name}/migration.sql
USER node`;

const deploy = (...args: string[]) => stack.run('scripts/deploy', ...args);
const rollback = (...args: string[]) => stack.run('scripts/rollback', ...args);
const sentence = (output: string) =>
  output
    .trimEnd()
    .split('\n')
    .at(-1)!
    .replace(/^ *\d+ s {2}/, '');
const tagInSettings = () => /^IMAGE_TAG=(.*)$/m.exec(readFileSync(join(clone.folder, '.env.e2e'), 'utf8'))![1];

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
const all = (tag: string) => REPLACED.map((service) => `${service}:${tag} running`);

/** Asks the stack all the time, until it is told to end. */
async function startAsking() {
  const name = `${stack.project}-asker`;
  const run = ['run', '--detach', '--init', '--name', name, '--network=keelson-outer', '--entrypoint=node'];
  const program = `--volume=${join(import.meta.dirname, 'ask.ts')}:/ask.ts:ro`;
  const host = `${stack.project}.example.com.internal`;
  succeeded(await stack.docker(...run, program, `${stack.project}/roster-api:v1`, '/ask.ts', host));
  return async (): Promise<{ asked: number; failures: string[] }> => {
    await stack.docker('stop', name);
    const { stdout } = await stack.docker('logs', name);
    await stack.docker('rm', name);
    return JSON.parse(stdout);
  };
}

test('wants to know which release', async () => {
  const { status, output } = await deploy();
  expect([status, sentence(output)]).toEqual([1, 'Which release? Name its TAG, or set IMAGE_TAG in .env.e2e.']);
});

test('a release that has no images is refused', async () => {
  const { status, output } = await deploy('nowhere');
  expect([status, sentence(output)]).toEqual([
    1,
    expect.stringContaining(`There is no image ${stack.project}/roster-api:nowhere`),
  ]);
});

test('the first release comes to an empty machine, and is what Compose knows of', async () => {
  const { output } = await deploy('v1').then((ran) => (succeeded(ran), ran));
  expect(sentence(output)).toBe('v1 runs in the stack e2e.');
  const { ids, releases } = await running();
  expect(releases).toEqual(all('v1'));
  expect(tagInSettings()).toBe('v1');
  await stack.up();
  expect((await running()).ids).toEqual(ids);
});

test('the next one takes its place without a request that fails, and nobody else may deploy meanwhile', async () => {
  const before = await running();
  const stop = await startAsking();
  const deploying = deploy('v2');
  await until('the lock', 30, async () => (await stack.docker('inspect', `${stack.project}-deploy`)).status === 0);
  const second = await deploy('v1');
  expect([second.status, sentence(second.output)]).toEqual([
    1,
    expect.stringMatching(/^Another one is under way in the stack e2e, by the test: deploy of v2, since 20.*Z\.$/),
  ]);
  succeeded(await deploying);
  const { asked, failures } = await stop();
  expect(failures).toEqual([]);
  expect(asked).toBeGreaterThan(500);
  const after = await running();
  expect(after.releases).toEqual(all('v2'));
  expect(after.ids.filter((id) => before.ids.includes(id))).toEqual([]);
  const health = await stack.compose('exec', '-T', 'proxy', 'curl', '--silent', 'http://roster-api:3000/healthz');
  expect(JSON.parse(succeeded(health))).toMatchObject({ version: 'v2' });
});

test('a rollback goes back in under 30 s, without a request that fails', async () => {
  const stop = await startAsking();
  const { output, ms } = await rollback().then((ran) => (succeeded(ran), ran));
  expect((await stop()).failures).toEqual([]);
  expect(sentence(output)).toBe('v1 runs in the stack e2e again.');
  expect((await running()).releases).toEqual(all('v1'));
  expect(tagInSettings()).toBe('v1');
  expect(ms).toBeLessThan(30_000);
});

test('there is nothing before the first one', async () => {
  const { status, output } = await rollback();
  expect([status, sentence(output)]).toEqual([1, expect.stringMatching(/^There is no release before v1 /)]);
});

test.each([
  ['does not start', `CMD ["node", "-e", "process.exit(3)"]`, /^roster-api broken does not start: .* exit code 3\.$/],
  [
    'never gets healthy',
    `CMD ["node", "-e", "http.createServer((_, res) => res.writeHead(500).end()).listen(3000)"]`,
    /^roster-api broken does not get healthy within 15 s: GET \/healthz on port 3000: 500$/,
  ],
  [
    'fails its migration',
    migration('broken', 'ALTER TABLE "Worker" ADD COLUMN more TEXT; INSERT INTO nowhere VALUES (1);'),
    /^roster-api broken: migration 20990101000000_broken failed: .*relation "nowhere" does not exist$/,
  ],
])('a release that %s changes nothing', async (_, change, why) => {
  const before = await running();
  await release('broken', { 'roster-api': change });
  const { status, output } = await deploy('--patience', '15', 'broken');
  expect([status, sentence(output)]).toEqual([1, expect.stringMatching(why)]);
  expect((await running()).ids).toEqual(before.ids);
  expect(tagInSettings()).toBe('v1');
});

test('what fails only once it is among the others is taken back, without a request that fails', async () => {
  succeeded(await stack.compose('exec', '-T', 'exports-worker', 'touch', '/media/only-here'));
  await release('late', {
    'exports-worker': `CMD ["sh", "-c", "[ ! -e /media/only-here ] || exit 3; exec node main.mjs"]`,
  });
  const before = await running();
  const stop = await startAsking();
  const { status, output } = await deploy('late');
  expect([status, sentence(output)]).toEqual([1, expect.stringMatching(/^exports-worker late does not start: /)]);
  expect((await stop()).failures).toEqual([]);
  const after = await running();
  expect(after.releases).toEqual(all('v1'));
  expect(after.ids.filter((id) => before.ids.includes(id)).length).toBe(2); // the worker and the proxy
});

test('a deploy that is killed holds up nobody, and the next one mends what it left', async () => {
  await release('more', { 'roster-api': migration('more', 'ALTER TABLE "Worker" ADD COLUMN more TEXT;') });
  const before = await running();
  const killed = stack.run('sh', '-c', 'echo $$ >deploy.pid; exec scripts/deploy more');
  await until('the first new container', 240, async () => (await running()).ids.some((id) => !before.ids.includes(id)));
  process.kill(Number(readFileSync(join(clone.folder, 'deploy.pid'), 'utf8')), 'SIGKILL');
  expect((await killed).status).toBe(null);
  await until(
    'the end of the lock',
    20,
    async () => (await stack.docker('inspect', `${stack.project}-deploy`)).status !== 0,
  );
  // Its migration adds a column, with which v1 can live.
  expect(sentence(succeeded(await deploy('more')))).toBe('more runs in the stack e2e.');
  expect((await running()).releases).toEqual(all('more'));
});

test('a release with whose schema the one that runs could not live is refused, unless somebody says why not', async () => {
  const without = migration('less', 'ALTER TABLE "Worker" DROP COLUMN role;').replace('RUN', 'RUN rm smoke.mjs &&');
  await release('less', { 'roster-api': without });
  const before = await running();
  const checked = await deploy('--check', 'less');
  const refused =
    /^more, which runs, could not live with the schema of less: roster-api more fails its smoke test: POST \/api\/v1\/workers answers 500/;
  expect([checked.status, sentence(checked.output)]).toEqual([1, expect.stringMatching(refused)]);
  expect((await running()).ids).toEqual(before.ids);
  succeeded(await deploy('--allow-incompatible', 'nobody uses roles', 'less'));
  expect((await running()).releases).toEqual(all('less'));
  const back = await rollback();
  expect([back.status, sentence(back.output)]).toEqual([
    1,
    expect.stringMatching(/^less was deployed though more could not live with its schema \(nobody uses roles\)/),
  ]);
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
    ...Array(3).fill('deploy broken failed'),
    'deploy late failed',
    'deploy more began',
    'deploy more ok',
    'deploy less ok',
    'rollback more failed',
  ]);
  expect(lines.at(-2)).toMatch(/incompatible: nobody uses roles$/);
});
