import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openComposeStack, succeeded, type ComposeStack } from './compose-stack.ts';
import { freshClone, services } from './fresh-clone.ts';

// What `scripts/setup STACK` makes, and what Compose makes of it: nothing is started here.

const clone = freshClone();
let stack: ComposeStack;
beforeAll(async () => {
  stack = await openComposeStack(clone.folder, 'keelson-e2e-production', { COMPOSE_ENV_FILES: '.env.staging' });
});
afterAll(clone.remove);

const file = (path: string) => join(clone.folder, path);
/** With what the stack's own file says alone. */
const run = (...command: string[]) => stack.run('env', '-u', 'REGISTRY', ...command);
const setUp = async (name: string, settings: string[] = []) => succeeded(await run(...settings, 'scripts/setup', name));
const settings = () =>
  Object.fromEntries(
    [...readFileSync(file('.env.staging'), 'utf8').matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  );

describe('scripts/setup staging', () => {
  test('writes .env.staging and its secrets for their owner alone, and says what is left to set', async () => {
    const said = await setUp('staging');
    expect(said.match(/^.* is empty: set it there$/gm)).toEqual(
      ['DOMAIN', 'REGISTRY', 'IMAGE_TAG'].map((name) => `.env.staging: ${name} is empty: set it there`),
    );
    expect(settings()).toEqual({
      SECRETS_DIR: '.secrets/staging',
      STACK: 'staging',
      COMPOSE_PROJECT_NAME: 'keelson-staging',
      COMPOSE_FILE: 'docker-compose.yml:docker-compose.prod.yml',
      DOMAIN: '',
      REGISTRY: '',
      IMAGE_TAG: '',
    });
    const names = [...services, 'migrator', 'postgres'].map((name) => `${name}-password`);
    expect(readdirSync(file('.secrets/staging')).toSorted()).toEqual(expect.arrayContaining(names));
    expect(readdirSync(file('.secrets'))).toEqual(['staging']);
    expect(['.env.staging', '.secrets', '.secrets/staging'].map((path) => statSync(file(path)).mode & 0o777)).toEqual([
      0o600, 0o700, 0o700,
    ]);
  });

  test.each(['DOMAIN', 'REGISTRY', 'IMAGE_TAG'])('leaves Compose with a sentence until %s is set', async (name) => {
    const others = ['DOMAIN=x', 'REGISTRY=x', 'IMAGE_TAG=x'].filter((setting) => !setting.startsWith(name));
    const { status, output } = await run(...others, 'docker', 'compose', 'config', '--quiet');
    expect(status).not.toBe(0);
    expect(output).toContain(`required variable ${name} is missing a value: set it in your .env.STACK`);
  });

  test('takes from the environment what it lacks, and keeps what is there', async () => {
    const secret = readFileSync(file('.secrets/staging/postgres-password'));
    await setUp('staging', ['DOMAIN=staging.example.com', 'REGISTRY=registry.example.com/acme', 'IMAGE_TAG=v1.2.3']);
    await setUp('staging', ['DOMAIN=other.example.com']);
    expect(settings()).toMatchObject({
      DOMAIN: 'staging.example.com',
      REGISTRY: 'registry.example.com/acme',
      IMAGE_TAG: 'v1.2.3',
    });
    expect(readFileSync(file('.secrets/staging/postgres-password'))).toEqual(secret);
  });

  test.each(['template', 'Staging', 'my_stack', '../x', '-', 'a b', 'rehearsal', 'staging-rehearsal'])(
    'refuses to make a stack "%s"',
    async (name) => {
      const { status } = await run('scripts/setup', name);
      expect(status).toBe(64);
    },
  );
});

type Mount = { type: string; source: string; target: string };
type Service = {
  image: string;
  build?: object;
  pull_policy?: string;
  restart?: string;
  read_only?: boolean;
  ports?: object[];
  volumes?: Mount[];
  tmpfs?: string[];
  environment?: Record<string, string>;
  secrets?: { source: string }[];
  depends_on?: Record<string, object>;
  logging?: { options?: Record<string, string> };
  networks: Record<string, { aliases?: string[] } | null>;
  deploy: {
    replicas?: number;
    update_config?: { order: string; failure_action?: string };
    resources: { limits: { cpus?: number; memory?: string; pids?: number } };
  };
};

describe('the configuration of a deployed stack', () => {
  let all: Record<string, Service>;
  const each = <T>(what: (service: Service, name: string) => T) =>
    Object.fromEntries(Object.entries(all).map(([name, service]) => [name, what(service, name)]));
  const same = <T>(value: T) => each(() => value);

  beforeAll(async () => {
    const config = await run('docker', 'compose', '--profile', '*', 'config', '--format=json');
    all = JSON.parse(succeeded(config)).services;
  });

  test('has every service, and no database UI', () => {
    expect(Object.keys(all)).toEqual(expect.arrayContaining([...services, 'backup', 'postgres', 'provision', 'proxy']));
    expect(all).not.toHaveProperty('adminer');
  });

  test('bounds what each may use, write and log', () => {
    expect(
      each(({ deploy: { resources } }) =>
        Object.values(resources.limits)
          .map(Number)
          .filter((limit) => limit > 0),
      ),
    ).toEqual(same([expect.any(Number), expect.any(Number), expect.any(Number)]));
    expect(each(({ read_only }) => read_only)).toEqual(same(true));
    expect(each(({ logging }) => Object.keys(logging?.options ?? {}).toSorted())).toEqual(
      same(['max-file', 'max-size']),
    );
    const open = (tmpfs: string) => !/size=/.test(tmpfs) || !/nosuid,nodev,noexec/.test(tmpfs);
    expect(each(({ tmpfs }) => tmpfs?.filter(open))).toEqual(same([]));
  });

  test('publishes nothing, builds nothing and mounts nothing of this machine', () => {
    expect(each(({ ports = [], build }) => [ports, build])).toEqual(same([[], undefined]));
    expect(each(({ volumes = [] }) => volumes.filter(({ type }) => type !== 'volume'))).toEqual(same([]));
  });

  test('takes the images of this repository by their tag, and the proxy by its domain', () => {
    const own = [...services, 'backup', 'provision', 'proxy'];
    expect(own.map((name) => [all[name]!.image, all[name]!.pull_policy])).toEqual(
      own.map((name) => [`registry.example.com/acme/${name}:v1.2.3`, 'missing']),
    );
    expect(all['proxy']!.networks['outer']?.aliases).toEqual(['staging.example.com.internal']);
  });

  test('starts again what ends, but not what is to end', () => {
    expect(each(({ restart }) => restart)).toEqual({ ...same('unless-stopped'), provision: 'no' });
  });

  test('has services wait for migrations, and for nothing that `up` would run again', () => {
    for (const name of services) {
      expect([name, all[name]!.environment?.['MIGRATE']]).toEqual([name, 'wait']);
      expect([name, Object.keys(all[name]!.depends_on ?? {})]).toEqual([name, ['postgres']]);
    }
  });

  test('gives each service its own secrets alone', () => {
    const passwords = (names: string[]) => names.map((name) => ({ source: `${name}-password` }));
    const own = Object.fromEntries(services.map((name) => [name, passwords([name])]));
    const secrets = each(({ secrets = [] }) => secrets.map(({ source }) => ({ source })));
    expect(secrets).toEqual({
      ...same([]),
      ...own,
      'exports-worker': [...own['exports-worker']!, { source: 'exports-worker-client' }],
      'identity-api': [
        ...own['identity-api']!,
        ...['signing-keys', 'administrator', 'exports-worker-client'].map((source) => ({ source })),
      ],
      postgres: passwords(['postgres']),
      provision: expect.arrayContaining(passwords(['postgres', 'migrator', ...services])),
    });
  });

  test('updates services new before old, and the database by itself', () => {
    for (const name of [...services, 'backup', 'proxy']) {
      expect([name, all[name]!.deploy]).toEqual([
        name,
        expect.objectContaining({
          replicas: expect.any(Number),
          update_config: expect.objectContaining({ order: 'start-first', failure_action: 'rollback' }),
        }),
      ]);
    }
    expect(all['postgres']!.deploy).toMatchObject({ replicas: 1, update_config: { order: 'stop-first' } });
  });
});

test('a secret that is missing is made', async () => {
  rmSync(file('.secrets/staging/postgres-password'));
  expect(await setUp('staging')).toContain('.secrets/staging/postgres-password: generated');
});
