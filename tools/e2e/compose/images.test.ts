import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openComposeStack, serviceOf, succeeded, type ComposeStack } from './compose-stack.ts';
import { freshClone, services } from './fresh-clone.ts';

// The images as they are deployed: the base file alone, and for these tests a way in.

const PROJECT = 'keelson-e2e-images';
const OTHERS = [...services.filter((name) => name !== 'roster-api'), 'provision'];
const SERVICES = ['roster-api', ...OTHERS];
const WAY_IN = 'services: { proxy: { ports: ["127.0.0.1:${PORT}:8080"] } }\n';

const clone = freshClone();
let stack: ComposeStack;

beforeAll(async () => {
  stack = await openComposeStack(clone.folder, PROJECT, {
    COMPOSE_FILE: 'docker-compose.yml:way-in.yml',
    SERVICE_VERSION: '1.2.3',
    SERVICE_COMMIT: 'c0ffee',
  });
  await stack.remove();
  writeFileSync(join(clone.folder, 'way-in.yml'), WAY_IN);
  succeeded(await stack.run('scripts/setup'));
  await stack.up('--build');
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await stack.account());
});
afterAll(async () => {
  await stack.remove();
  clone.remove();
});

type Image = {
  Id: string;
  Size: number;
  Config: { User: string; Labels: Record<string, string> };
  RootFS: { Layers: string[] };
};
const image = async (name: string): Promise<Image> =>
  JSON.parse(succeeded(await stack.docker('image', 'inspect', name)))[0];
const imageOf = (service: string) => image(`${PROJECT}/${service}:local`);

test('pass the end-to-end suite', async () => {
  const { status, output } = await stack.suite();
  if (status !== 0) console.error(output);
  expect(status).toBe(0);
});

test('say which version and commit they are', async () => {
  const { Config } = await imageOf('roster-api');
  expect(Config.Labels).toMatchObject({
    'org.opencontainers.image.title': 'keelson-roster-api',
    'org.opencontainers.image.version': '1.2.3',
    'org.opencontainers.image.revision': 'c0ffee',
  });
  const health = await stack.compose('exec', '-T', 'proxy', 'curl', '--silent', 'http://roster-api:3000/healthz');
  expect(JSON.parse(succeeded(health))).toMatchObject({ service: 'roster-api', version: '1.2.3', commit: 'c0ffee' });
});

test('hold a bundle and nothing else', async () => {
  const [, tag] = /^ARG NODE_TAG=(.*)$/m.exec(readFileSync(join(clone.folder, 'Dockerfile'), 'utf8'))!;
  const base = (await image(`node:${tag}`)).Size;
  for (const service of SERVICES) {
    const { Size, Config } = await imageOf(service);
    expect([service, Config.User]).toEqual([service, 'node']);
    expect((Size - base) / 1e6).toBeLessThan(20);
    const packages = 'find / -xdev -name node_modules -not -path "/proc/*"; command -v npm npx';
    const { stdout } = await stack.docker(
      'run',
      '--rm',
      '--entrypoint=sh',
      `${PROJECT}/${service}:local`,
      '-c',
      packages,
    );
    expect([service, stdout]).toEqual([service, '']);
  }
});

test('give V8 no more memory than the container has', async () => {
  const limit = 'v8.getHeapStatistics().heap_size_limit / 2 ** 20';
  const { stdout } = await stack.compose('exec', '-T', 'roster-api', 'node', '-p', limit);
  expect(Number(stdout)).toBeGreaterThan(100);
  expect(Number(stdout)).toBeLessThan(200); // of 256
});

test('stay as they are when another service changes', async () => {
  const before = await Promise.all(SERVICES.map(imageOf));
  appendFileSync(join(clone.folder, 'services/roster-api/src/main.ts'), "console.error('changed');\n");
  succeeded(await stack.compose('build'));
  const after = await Promise.all(SERVICES.map(imageOf));
  expect(after.map(({ Id }, index) => Id === before[index]!.Id)).toEqual([false, ...OTHERS.map(() => true)]);
  // Of the one that changed, only its bundle is new.
  expect(after[0]!.RootFS.Layers.slice(0, -1)).toEqual(before[0]!.RootFS.Layers.slice(0, -1));
});

test('stop with exit code 0 in under 5 s', async () => {
  const { ms } = await stack.compose('stop');
  for (const container of await stack.containers())
    expect([serviceOf(container), container.State.ExitCode]).toEqual([serviceOf(container), 0]);
  expect(ms).toBeLessThan(5000);
});
