import { appendFileSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openComposeStack, succeeded, type ComposeStack } from '../compose/compose-stack.ts';
import { freshClone, root } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';

// `npm run release` in a clone, to a registry and back: one story, told in order.

const clone = freshClone();
const container = `keelson-e2e-release-${process.pid}`;
let stack: ComposeStack;
let registry: string;

beforeAll(async () => {
  const settings = {
    BUILD_NUMBER: '42',
    GIT_AUTHOR_NAME: 'test',
    GIT_AUTHOR_EMAIL: 'test@example.com',
    GIT_COMMITTER_NAME: 'test',
    GIT_COMMITTER_EMAIL: 'test@example.com',
    // The clone is another user's.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  };
  stack = await openComposeStack(clone.folder, 'keelson-e2e-release', settings);
  succeeded(await stack.docker('run', '--detach', '--name', container, '--publish=127.0.0.1::5000', 'registry:3'));
  registry = `${succeeded(await stack.docker('port', container, '5000'))}/keelson`;
  symlinkSync(join(root, 'node_modules'), join(clone.folder, 'node_modules'));
  await git('init', '--quiet', '--initial-branch=main');
  appendFileSync(join(clone.folder, '.git/info/exclude'), 'node_modules\n');
  await commit('Begin');
});
afterAll(async () => {
  await stack.docker('rm', '--force', '--volumes', container);
  await stack.removeImages(registry);
  clone.remove();
});

const git = async (...args: string[]) => succeeded(await stack.run('git', ...args));
const commit = async (message: string) => {
  await git('add', '--all');
  await git('commit', '--quiet', `--message=${message}`);
};
const head = () => git('rev-parse', 'HEAD');
const manifest = () => JSON.parse(readFileSync(join(clone.folder, 'package.json'), 'utf8'));
const release = (...args: string[]) =>
  stack.run('env', `REGISTRY=${registry}`, process.execPath, 'tools/release/src/main.ts', ...args);

/** The digest that the registry has of each image by this tag. */
async function digests(tag: string): Promise<Record<string, string>> {
  const services = Object.keys(JSON.parse(succeeded(await bake('--print'))).target);
  const found = services.map(async (name) => {
    const said = await stack.docker(
      'buildx',
      'imagetools',
      'inspect',
      `${registry}/${name}:${tag}`,
      '--format={{json .}}',
    );
    return [name, said.status === 0 ? JSON.parse(said.stdout).manifest.digest : 'none'];
  });
  return Object.fromEntries(await Promise.all(found));
}
const bake = (...args: string[]) => stack.docker('buildx', 'bake', '--file=docker-bake.hcl', ...args);

test('a release has a version, a changelog, a commit and a tag', async () => {
  succeeded(await release('9.8.7', '--no-publish'));
  expect(manifest().version).toBe('9.8.7');
  expect(readFileSync(join(clone.folder, 'package-lock.json'), 'utf8')).toContain('"version": "9.8.7"');
  expect(readFileSync(join(clone.folder, 'CHANGELOG.md'), 'utf8')).toMatch(/^## 9\.8\.7 .*\n- Begin/s);
  expect(await git('log', '-1', '--format=%s %D')).toBe('Release 9.8.7 HEAD -> main, tag: v9.8.7');
  expect(await git('status', '--porcelain')).toBe('');
});

test('it is pushed as commit, version, stable and latest, which are one image', async () => {
  expect(succeeded(await release())).toContain(`:${await head()} :v9.8.7 :stable :latest`);
  const released = await digests('v9.8.7');
  expect(Object.keys(released)).toEqual(expect.arrayContaining(['roster-api', 'exports-worker', 'provision', 'proxy']));
  for (const tag of [await head(), 'stable', 'latest']) expect(await digests(tag)).toEqual(released);
  expect(Object.values(released)).not.toContain('none');
});

test('what is pulled says what it is', async () => {
  const image = `${registry}/roster-api:v9.8.7`;
  await stack.docker('image', 'rm', '--force', `${registry}/roster-api:${await head()}`);
  succeeded(await stack.docker('pull', '--quiet', image));
  const labels = JSON.parse(
    succeeded(await stack.docker('image', 'inspect', '--format={{json .Config.Labels}}', image)),
  );
  expect(labels).toMatchObject({
    'org.opencontainers.image.version': '9.8.7',
    'org.opencontainers.image.revision': await head(),
    'keelson.build-number': '42',
  });
  const database = '--env=DATABASE_URL=postgresql://nobody:nothing@127.0.0.1:1/none?schema=none';
  const issuer = ['AUTH_ISSUER=nobody', 'AUTH_AUDIENCE=nobody', 'AUTH_JWKS_URL=http://127.0.0.1:1/jwks.json'];
  const settings = [database, ...issuer.map((setting) => `--env=${setting}`)];
  const id = succeeded(await stack.docker('run', '--detach', '--entrypoint=node', ...settings, image, 'main.mjs'));
  const ask = "fetch('http://127.0.0.1:3000/healthz').then(async (answer) => console.log(await answer.text()))";
  const { answer } = await until('an answer', 20, async () => {
    const { status, stdout } = await stack.docker('exec', id, 'node', '--eval', ask);
    return status === 0 && JSON.parse(stdout);
  });
  await stack.docker('rm', '--force', id);
  expect(answer).toMatchObject({ version: '9.8.7', commit: await head(), build: '42' });
});

test('after a change of one service, the others are what they were, by the new tags too', async () => {
  const released = await digests('v9.8.7');
  appendFileSync(join(clone.folder, 'services/exports-worker/src/main.ts'), "console.error('changed');\n");
  await commit('Change a service');
  expect(succeeded(await release())).toMatch(/:[0-9a-f]{40} :latest$/);
  const { 'exports-worker': changed, ...others } = await digests(await head());
  const { 'exports-worker': before, ...unchanged } = released;
  expect(others).toEqual(unchanged);
  expect(changed).not.toBe(before);
  expect(await digests('latest')).toEqual({ ...others, 'exports-worker': changed });
  expect(await digests('stable')).toEqual(released);
});

test('the same once more builds nothing', async () => {
  const before = await digests('latest');
  const again = succeeded(await release());
  expect(again).not.toMatch(/is built|has not changed/);
  expect(await digests('latest')).toEqual(before);
});

test('a tag that package.json does not agree with is refused, and pushes nothing', async () => {
  await git('tag', 'v9.9.9');
  const { status, output } = await release();
  expect([status, output.trim()]).toEqual([
    1,
    expect.stringMatching(/^This commit has the tag v9\.9\.9, but its package\.json says 9\.8\.7/),
  ]);
  expect(new Set(Object.values(await digests('v9.9.9')))).toEqual(new Set(['none']));
  await git('tag', '--delete', 'v9.9.9');
});

test('a version that the registry has of another commit stays as it is', async () => {
  const released = await digests('v9.8.7');
  await git('tag', '--force', 'v9.8.7');
  const { status, output } = await release();
  expect([status, output]).toEqual([1, expect.stringContaining('exports-worker:v9.8.7 is there already, and not of')]);
  expect(await digests('v9.8.7')).toEqual(released);
});

test('a registry that does not answer is a sentence', async () => {
  succeeded(await stack.docker('stop', container));
  const { status, output } = await release();
  expect([status, output]).toEqual([
    1,
    expect.stringMatching(/^The registry 127\.0\.0\.1:\d+\/keelson does not answer: /),
  ]);
});
