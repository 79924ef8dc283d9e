import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stackFile, type ComposeConfig, type StackFileOptions } from './stack-file.ts';

const CONFIG: ComposeConfig = {
  name: 'example-production',
  services: {
    proxy: {
      image: 'registry/proxy:v1',
      entrypoint: null,
      networks: { edge: null, outer: { aliases: ['www.example.com.internal'] } },
      volumes: [{ type: 'volume', source: 'certificates', target: '/certificates', read_only: true }],
    },
    api: {
      image: 'registry/api:v1',
      build: { context: '.' },
      pull_policy: 'missing',
      restart: 'unless-stopped',
      security_opt: ['no-new-privileges:true'],
      cpu_shares: 128,
      depends_on: { postgres: { condition: 'service_healthy', required: true } },
      init: true,
      tmpfs: ['/tmp:size=64m,nosuid,nodev,noexec'],
      secrets: [{ source: 'api-password', target: '/run/secrets/api-password' }],
      deploy: { replicas: 2, resources: { limits: { cpus: 1.5, memory: '268435456', pids: 512 } } },
    },
    postgres: {
      image: 'postgres:18',
      shm_size: '134217728',
      secrets: [{ source: 'postgres-password', target: '/run/secrets/postgres-password' }],
      volumes: [{ type: 'volume', source: 'postgres', target: '/var/lib/postgresql', volume: {} }],
      deploy: { placement: { constraints: ['node.role == manager'] } },
    },
    ingress: {
      image: 'registry/ingress:v1',
      ports: [{ target: 8443, published: '443', protocol: 'tcp', mode: 'ingress', host_ip: '0.0.0.0' } as never],
      volumes: [{ type: 'volume', source: 'challenges', target: '/challenges' }],
      deploy: { mode: 'global' },
    },
  },
  networks: {
    data: { name: 'example-production_data', ipam: {}, internal: true },
    outer: { name: 'outer', ipam: {}, external: true },
  },
  volumes: {
    postgres: { name: 'example-production_postgres' },
    certificates: { name: 'example-production_certificates' },
    challenges: { name: 'example-production_challenges' },
  },
  secrets: { 'api-password': { file: '/s/api-password' }, 'postgres-password': { file: '/s/postgres-password' } },
};
const DIGESTS = { 'api-password': 'aa11', 'postgres-password': 'bb22' };
const CERTIFICATE = { folder: '/somewhere/certificate', owner: '101', digest: 'cc33' };

const render = (options: Partial<StackFileOptions> = {}, config = CONFIG) =>
  stackFile(config, { services: Object.keys(config.services), digests: DIGESTS, certificate: CERTIFICATE, ...options });
const service = (name: string, ...args: Parameters<typeof render>) => render(...args).services[name]!;
const definition = (name: string, ...args: Parameters<typeof render>) =>
  (service(name, ...args).labels as Record<string, string>)['keelson.definition'];
const withService = (name: string, change: object): ComposeConfig => ({
  ...CONFIG,
  services: { ...CONFIG.services, [name]: { ...CONFIG.services[name]!, ...change } },
});

test('what Swarm refuses or ignores is left out or put in its words', () => {
  expect(service('api')).toEqual({
    image: 'registry/api:v1',
    init: true,
    secrets: [{ source: 'api-password', target: '/run/secrets/api-password' }],
    volumes: [{ type: 'tmpfs', target: '/tmp', tmpfs: { size: 64 * 1024 * 1024 } }],
    labels: { 'keelson.definition': expect.stringMatching(/^[0-9a-f]{12}$/) },
    deploy: {
      replicas: 2,
      restart_policy: { condition: 'any' },
      resources: { limits: { cpus: '1.5', memory: '268435456', pids: 512 } },
    },
  });
  expect(service('proxy')).not.toHaveProperty('entrypoint');
});

test('a service is where its data is, unless another place keeps it', () => {
  const constraint = 'node.labels.example-production.data == true';
  expect(service('postgres').deploy.placement).toEqual({ constraints: ['node.role == manager', constraint] });
  expect(service('api').deploy).not.toHaveProperty('placement');
  expect(service('ingress').deploy).not.toHaveProperty('placement');
  const shared = { ...CONFIG, volumes: { postgres: { driver_opts: { type: 'nfs' } } } };
  expect(service('postgres', {}, shared).deploy.placement).toEqual({ constraints: ['node.role == manager'] });
});

test('shared memory is of the size that was asked for', () => {
  expect(service('postgres').volumes).toContainEqual({
    type: 'tmpfs',
    target: '/dev/shm',
    tmpfs: { size: 134_217_728 },
  });
  expect(() => service('api', {}, withService('api', { tmpfs: ['/tmp:size=all'] }))).toThrow(
    'all is no size of a tmpfs',
  );
});

test('the name of a secret says its content', () => {
  expect(render().secrets['api-password']).toEqual({
    name: 'example-production_api-password-aa11',
    file: '/s/api-password',
  });
});

test('the certificate is two secrets, where its volume would be', () => {
  expect(service('proxy').volumes).toEqual([]);
  expect(service('proxy').deploy).not.toHaveProperty('placement');
  const readable = { uid: '101', gid: '101', mode: 0o400 };
  expect(service('proxy').secrets).toEqual([
    { source: 'fullchain.pem', target: '/certificates/current/fullchain.pem', ...readable },
    { source: 'privkey.pem', target: '/certificates/current/privkey.pem', ...readable },
  ]);
  expect(render().secrets).toMatchObject({
    'fullchain.pem': { name: 'example-production_fullchain.pem-cc33', file: '/somewhere/certificate/fullchain.pem' },
    'privkey.pem': { name: 'example-production_privkey.pem-cc33', file: '/somewhere/certificate/privkey.pem' },
  });
});

test('ports are those of the node', () => {
  expect(service('ingress').ports).toEqual([{ target: 8443, published: 443, protocol: 'tcp', mode: 'host' }]);
});

test('networks reach every node, encrypted, and those of others are found', () => {
  expect(render().networks).toEqual({
    data: {
      name: 'example-production_data',
      internal: true,
      driver: 'overlay',
      driver_opts: { encrypted: '' },
      attachable: true,
    },
    outer: { name: 'outer', external: true },
  });
});

test('some services alone take only what they use', () => {
  const { services, secrets, volumes } = render({ services: ['postgres'] });
  expect([services, secrets, volumes].map((all) => Object.keys(all))).toEqual([
    ['postgres'],
    ['postgres-password'],
    ['postgres'],
  ]);
});

test.for([
  ['another image', { image: 'registry/api:v2' }, true],
  ['another limit', { deploy: { replicas: 2, resources: { limits: { cpus: 2 } } } }, true],
  ['more of them', { deploy: { ...CONFIG.services['api']!.deploy, replicas: 5 } }, false],
  ['another way of updating', { deploy: { ...CONFIG.services['api']!.deploy, update_config: { delay: '9s' } } }, false],
] as const)('%s: whether that is another definition', ([, change, isAnother]) => {
  expect(definition('api') !== definition('api', {}, withService('api', change))).toBe(isAnother);
});

test('a secret or certificate that has changed is another definition', () => {
  expect(definition('api', { digests: { ...DIGESTS, 'api-password': 'dd44' } })).not.toBe(definition('api'));
  expect(definition('proxy', { certificate: { ...CERTIFICATE, digest: 'ee55' } })).not.toBe(definition('proxy'));
  expect(definition('api', { certificate: { ...CERTIFICATE, digest: 'ee55' } })).toBe(definition('api'));
});

test('it runs without this repository, as scripts/swarm runs it', () => {
  const source = readFileSync(join(import.meta.dirname, 'stack-file.ts'), 'utf8');
  const program = `${source}\nconsole.log(JSON.stringify(stackFile(${JSON.stringify(CONFIG)}, { services: ['api'], digests: {} })))`;
  const output = execFileSync(process.execPath, ['--input-type=module-typescript', '--eval', program], { cwd: '/' });
  expect(Object.keys(JSON.parse(output.toString()).services)).toEqual(['api']);
});
