import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openComposeStack, serviceOf, succeeded, WAY_IN, type ComposeStack } from './compose-stack.ts';
import { freshClone, services } from './fresh-clone.ts';
import { until } from './until.ts';

// The images as they are deployed: the base file alone, and for these tests a way in.

const OTHERS = [...services.filter((name) => name !== 'roster-api'), 'provision'];
const SERVICES = ['roster-api', ...OTHERS];
const IN_PROXY = 'http://127.0.0.1:8080/';

const clone = freshClone();
let stack: ComposeStack;

beforeAll(async () => {
  stack = await openComposeStack(clone.folder, 'keelson-e2e-images', {
    COMPOSE_FILE: 'docker-compose.yml:way-in.yml',
    SERVICE_VERSION: '1.2.3',
    SERVICE_COMMIT: 'c0ffee',
    BUILD_NUMBER: '42',
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
const imageOf = (service: string) => image(`${stack.project}/${service}:local`);

test('pass the end-to-end suite', async () => {
  const { status, output } = await stack.suite();
  if (status !== 0) console.error(output);
  expect(status).toBe(0);
});

test('say which version, commit and build they are', async () => {
  const { Config } = await imageOf('roster-api');
  expect(Config.Labels).toMatchObject({
    'org.opencontainers.image.title': 'keelson-roster-api',
    'org.opencontainers.image.version': '1.2.3',
    'org.opencontainers.image.revision': 'c0ffee',
    'keelson.build-number': '42',
  });
  const health = await stack.compose('exec', '-T', 'proxy', 'curl', '--silent', 'http://roster-api:3000/healthz');
  expect(JSON.parse(succeeded(health))).toEqual({
    status: 'ok',
    service: 'roster-api',
    version: '1.2.3',
    commit: 'c0ffee',
    build: '42',
  });
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
      `${stack.project}/${service}:local`,
      '-c',
      packages,
    );
    expect([service, stdout]).toEqual([service, '']);
  }
});

describe('the proxy', () => {
  test('answers 502 itself while no replica runs', async () => {
    succeeded(await stack.compose('stop', 'roster-api'));
    const { answer } = await until('a 502', 20, async () => {
      const got = await fetch(`${stack.url}/api/v1/workers`, {
        headers: { ...(await stack.authorization()), 'x-request-id': 'nobody-there' },
      });
      return got.status === 502 && got;
    });
    const { 'content-type': type, 'retry-after': retryAfter } = Object.fromEntries(answer.headers);
    expect([type, retryAfter]).toEqual(['application/problem+json', '2']);
    expect(answer.headers.get('x-request-id')).toBe('nobody-there');
    expect(await answer.json()).toMatchObject({ type: 'about:blank', status: 502, requestId: 'nobody-there' });
    await stack.up();
    // nginx leaves a replica that failed alone for 2 s, and asks for addresses every second.
    await until(
      'a replica that came back is served',
      5,
      async () => (await fetch(`${stack.url}/api/v1/workers`, { headers: await stack.authorization() })).ok,
    );
  });

  /** A proxy of its own, with other limits, and curl in it. */
  async function startProxy(...options: string[]) {
    const id = succeeded(await stack.compose('run', '--detach', '--no-deps', ...options, 'proxy'));
    const ask = (...args: string[]) => stack.docker('exec', id, 'curl', '-si', '-HX-Request-Id: limited', ...args);
    await until('the proxy', 10, async () => (await ask(`${IN_PROXY}healthz`)).status === 0);
    const answersTo = async (...args: string[]) => succeeded(await ask(...args)).split(/(?=HTTP\/1.1 )/);
    return { answersTo, remove: () => stack.docker('rm', '--force', id) };
  }
  const statusOf = (answer: string) => answer.slice(9, 12);

  test('answers 429 to a client that asks too often', async () => {
    const { answersTo, remove } = await startProxy('--env=PROXY_RATE_LIMIT=1r/s', '--env=PROXY_RATE_BURST=2');
    const nowhere = `${IN_PROXY}api/v1/nowhere`;
    const answers = await answersTo(IN_PROXY, nowhere, IN_PROXY, nowhere);
    expect(answers.map(statusOf)).toEqual(['200', '404', '200', '429']);
    const [head, body] = answers[3]!.split('\r\n\r\n');
    expect(head).toMatch(/^content-type: application\/problem\+json\r$/im);
    expect(head).toMatch(/^retry-after: 1\r$/im);
    expect(head).toMatch(/^x-request-id: limited\r$/im);
    expect(JSON.parse(body!)).toMatchObject({ type: 'about:blank', status: 429, requestId: 'limited' });
    await remove();
  });

  test('answers 429 to a client that asks for tokens too often, and for nothing else', async () => {
    const limits = ['--env=PROXY_SIGN_IN_RATE_LIMIT=1r/m', '--env=PROXY_SIGN_IN_RATE_BURST=1'];
    const { answersTo, remove } = await startProxy(...limits);
    const sessions = `${IN_PROXY}api/v1/sessions`;
    const posts = await answersTo(
      '-XPOST',
      sessions,
      `${IN_PROXY}api//v1/%74oken`,
      `${sessions}/password`,
      `${sessions}/`,
    );
    // The service knows the second by no such address; the limit does, whose addresses are plain.
    expect(posts.map(statusOf)).toEqual(['422', '404', '429', '429']);
    const others = await answersTo(`${IN_PROXY}api/v1/jwks.json`, IN_PROXY, sessions);
    expect(others.map(statusOf)).toEqual(['200', '200', '405']);
    await remove();
  });
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
