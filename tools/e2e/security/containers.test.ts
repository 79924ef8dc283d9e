import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serviceOf, succeeded, type Container } from '../compose/compose-stack.ts';
import { services } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';
import { deployed, stack } from './deployed.ts';

// What the kernel and the engine say of each container of the stack, whatever its Compose files want.

/** It ends within a second, so one is held for these tests. */
const ONE_SHOT = 'provision';
const KNOWN = [...services, 'backup', 'ingress', 'postgres', 'proxy', ONE_SHOT];
const ON_DATA_ALONE = /-worker$|^(backup|postgres|provision)$/;
/** The volumes that a service may write to. */
const WRITABLE = (service: string) =>
  ({ backup: ['/backups'], postgres: ['/var/lib/postgresql'], 'exports-worker': ['/media'] })[service] ?? [];

const { docker } = stack;
const secretsFolder = join(deployed.folder, '.secrets/e2e');
let containers: Container[];
let held: string;

beforeAll(async () => {
  held = succeeded(await stack.compose('run', '--detach', '--no-deps', '--entrypoint=sleep', ONE_SHOT, '600'));
  const projects = [stack.project, deployed.settings['INGRESS_PROJECT']!];
  const listed = await Promise.all(
    projects.map((project) => docker('ps', '--all', '--quiet', `--filter=label=com.docker.compose.project=${project}`)),
  );
  const ids = listed.flatMap((ran) => succeeded(ran).split('\n'));
  containers = JSON.parse(succeeded(await docker('inspect', ...ids)));
});
afterAll(async () => {
  await docker('rm', '--force', held);
});

/** What a shell in the container prints. */
const said = async ({ Id }: Container, script: string) => succeeded(await docker('exec', Id, 'sh', '-c', script));
const nameOf = ({ Name }: Container) => Name.slice(1);
const of = (service: string) => containers.find((container) => serviceOf(container) === service)!;

/** An answer for each container, by its name. */
async function ofEach<T>(ask: (container: Container) => Promise<T> | T, some = containers): Promise<Record<string, T>> {
  return Object.fromEntries(
    await Promise.all(some.map(async (container) => [nameOf(container), await ask(container)] as const)),
  );
}
const same = <T>(value: T, some = containers) =>
  Object.fromEntries(some.map((container) => [nameOf(container), value]));

test('there is no container but those that these tests know', () => {
  expect([...new Set(containers.map(serviceOf))].toSorted()).toEqual(KNOWN.toSorted());
});

test('no process is root, has a capability or can gain one, or makes system calls unfiltered', async () => {
  const statuses = 'for process in /proc/[0-9]*; do cat "$process/status" 2>/dev/null || true; done';
  const is = (field: string, value: string) => new RegExp(`^${field}:\\s+${value}$`);
  const expected = [
    is('Uid', '([1-9]\\d*)\\t\\1\\t\\1\\t\\1'),
    is('Gid', '([1-9]\\d*)\\t\\1\\t\\1\\t\\1'),
    is('Groups', '([1-9]\\d* ?)*'),
    ...['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => is(`Cap${set}`, '0{16}')),
    is('NoNewPrivs', '1'),
    is('Seccomp', '2'),
  ];
  const wrong = await ofEach(async (container) => {
    const processes = (await said(container, statuses))
      .split(/^(?=Name:)/m)
      // The engine's own, on its way in for a health check.
      .filter((status) => !status.startsWith('Name:\trunc:['))
      .map((status) => status.split('\n'));
    // PID 1, what it started, and the shell that asks.
    expect([nameOf(container), processes.length >= 3]).toEqual([nameOf(container), true]);
    return processes.flatMap((lines) =>
      expected.filter((line) => !lines.some((other) => line.test(other))).map((line) => `${lines[0]}: not ${line}`),
    );
  });
  expect(wrong).toEqual(same([]));
});

test('nothing can be written but what is bounded, and the data in its volume', async () => {
  // Of the kernel's own, which belong to root.
  const own = /^\/(proc|sys|dev\/(pts|mqueue))(\/|$)|^\/dev$/;
  const wrong = await ofEach(async (container) => {
    const mounts = (await said(container, 'cat /proc/1/mounts')).split('\n').map((line) => line.split(' '));
    expect(mounts.filter(([, place]) => place === '/')).toHaveLength(1);
    return mounts
      .map(([, place = '', type, options = '']) => ({ place, type, options: options.split(',') }))
      .filter(({ place, options }) => !own.test(place) && !options.includes('ro'))
      .filter(({ place }) => !WRITABLE(serviceOf(container)).includes(place))
      .filter(
        ({ type, options }) =>
          type !== 'tmpfs' ||
          !['nosuid', 'nodev', 'noexec'].every((option) => options.includes(option)) ||
          !options.some((option) => /^size=\d+k$/.test(option)),
      );
  });
  expect(wrong).toEqual(same([]));
});

test('memory, processes and processors are bounded by the kernel', async () => {
  const limits = `cd /sys/fs/cgroup
    if [ -e cgroup.controllers ]; then cat memory.max pids.max cpu.max
    else cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us; fi`;
  const wrong = await ofEach(async (container) => {
    const [memory = 0, processes = 0, quota = 0, period = 0] = (await said(container, limits)).split(/\s+/).map(Number);
    const isBounded =
      memory > 0 && memory <= 2 ** 30 && processes > 0 && processes <= 512 && quota > 0 && quota <= period;
    return isBounded ? [] : { memory, processes, quota, period };
  });
  expect(wrong).toEqual(same([]));
});

test('each has namespaces of its own, and none of the host', async () => {
  const host = ['--pid=host', '--network=host', '--ipc=host', '--uts=host', '--entrypoint=readlink'];
  const paths = (process: string) => ['pid', 'net', 'ipc', 'uts', 'mnt'].map((kind) => `/proc/${process}/ns/${kind}`);
  const hosts = succeeded(await docker('run', '--rm', ...host, of('proxy').Image, ...paths('self'))).split('\n');
  expect(hosts).toHaveLength(5);
  const theirs = await ofEach(async (container) =>
    (await said(container, `readlink ${paths('1').join(' ')}`)).split('\n'),
  );
  const seen = [...Object.values(theirs).flat(), ...hosts];
  expect(seen).toHaveLength((containers.length + 1) * 5);
  expect(seen.filter((namespace, index) => seen.indexOf(namespace) !== index)).toEqual([]);
});

test('those that a deploy starts for a moment are confined and bounded, too', async () => {
  const names = new Set<string>();
  const wrong = new Set<string>();
  async function look() {
    const filters = [`name=^/?${stack.project}-(deploy|rehearsal)`, `label=keelson.deploy=${stack.project}`];
    const listed = await Promise.all(filters.map((filter) => docker('ps', '--all', '--quiet', `--filter=${filter}`)));
    const ids = listed.flatMap(({ stdout }) => stdout.split('\n').filter(Boolean));
    // What has gone meanwhile is only missing.
    const found = ids.length ? (JSON.parse((await docker('inspect', ...ids)).stdout) as Container[]) : [];
    for (const container of found) {
      const { HostConfig: host } = container;
      const isConfined =
        host.ReadonlyRootfs &&
        host.CapDrop?.join() === 'ALL' &&
        host.SecurityOpt?.some((option) => option.startsWith('no-new-privileges')) &&
        [host.Memory, host.PidsLimit, host.NanoCpus].every((limit) => limit > 0);
      const name = nameOf(container).replace(stack.project, '').replace(/-\d+$/, '');
      names.add(name);
      if (!isConfined) wrong.add(`${name}: ${JSON.stringify(host)}`);
    }
  }
  let isOver = false;
  const deploying = stack.run('scripts/deploy', '--check', 'v1').finally(() => (isOver = true));
  await until('the end of the deploy', 1000, async () => (await look(), isOver));
  succeeded(await deploying);
  expect([...wrong]).toEqual([]);
  for (const name of [...services, 'backup', 'postgres', 'proxy']) expect(names).toContain(`-rehearsal-${name}`);
  expect(names).toContain('-deploy');
});

test('only the ingress publishes a port', async () => {
  const published = await ofEach(({ NetworkSettings: { Ports } }) => Object.keys(Ports).filter((port) => Ports[port]));
  const ingress = of('ingress');
  expect(published).toEqual({ ...same([]), [nameOf(ingress)]: ['8080/tcp', '8443/tcp'] });
});

test('none has the socket of the engine', async () => {
  const mounted = await ofEach(async (container) =>
    (await said(container, 'cat /proc/1/mountinfo')).match(/\S*docker\.sock\S*/g),
  );
  expect(mounted).toEqual(same(null));
  const found = await ofEach((container) => said(container, 'find / -xdev -name docker.sock 2>/dev/null || true'));
  expect(found).toEqual(same(''));
});

describe('secrets', () => {
  let values: string[];
  beforeAll(async () => {
    const files = readdirSync(secretsFolder).map((name) =>
      readFileSync(join(secretsFolder, name), 'utf8').trim().replace(/^.*:/, ''),
    );
    const key = await said(of('proxy'), 'cat /certificates/current/privkey.pem');
    values = [...files, key.split('\n')[1]!];
    expect(values.length).toBeGreaterThan(services.length + 1);
    for (const value of values) expect(value.length).toBeGreaterThan(20);
  });
  const secretsIn = (text: string) =>
    values.filter((value) => text.includes(value)).map((value) => `${value.slice(0, 4)}…`);

  test('are in no environment and no command line', async () => {
    const script =
      'for process in /proc/[0-9]*; do cat "$process/environ" "$process/cmdline" 2>/dev/null || true; done';
    const found = await ofEach(async (container) => {
      const text = await said(container, `cat /proc/1/environ && ${script}`);
      expect(text).toContain('PATH=');
      return secretsIn(text);
    });
    expect(found).toEqual(same([]));
  });

  test('are in nothing that the engine tells of containers, images and their making', async () => {
    const found = await ofEach(async ({ Id, Image }) => {
      const ways = [
        ['inspect', Id],
        ['image', 'inspect', Image],
        ['history', '--no-trunc', '--format={{json .}}', Image],
      ];
      const told = await Promise.all(ways.map(async (way) => succeeded(await docker(...way))));
      return secretsIn(told.join('\n'));
    });
    expect(found).toEqual(same([]));
  });

  test('are in no log', async () => {
    const logs = await ofEach(async ({ Id }) => (await docker('logs', Id)).output);
    expect(Object.values(logs).filter((log) => log).length).toBeGreaterThan(services.length + 2);
    expect(await ofEach((container) => secretsIn(logs[nameOf(container)]!))).toEqual(same([]));
  });

  test('are in no file of an image', async () => {
    const found = await ofImages(
      `cat /canaries/* | grep --recursive --files-with-matches --fixed-strings --file=- --exclude-dir=canaries \\
        --exclude-dir=proc --exclude-dir=sys / || [ $? = 1 ]`,
      `--volume=${secretsFolder}:/canaries:ro`,
    );
    expect(found).toEqual(sameOfImages(''));
  });
});

/** Of each image, what root sees in it. */
async function ofImages(script: string, ...options: string[]) {
  const run = ['run', '--rm', '--network=none', '--user=0', '--entrypoint=sh', ...options];
  const answers = [...images()].map(
    async ([service, id]) => [service, succeeded(await docker(...run, id, '-c', script))] as const,
  );
  return Object.fromEntries(await Promise.all(answers));
}

/** By the service. */
const images = () => new Map(containers.map((container) => [serviceOf(container), container.Image]));
const sameOfImages = <T>(value: T) => Object.fromEntries([...images().keys()].map((service) => [service, value]));

describe('images', () => {
  test('have no file that makes somebody else of whoever runs it', async () => {
    const found = await ofImages('find / -xdev -type f -perm /6000; getcap -r / 2>/dev/null || true');
    const newgrp = '/usr/bin/newgrp';
    expect(found).toEqual({ ...sameOfImages(''), postgres: expect.stringContaining(newgrp) });
    // That image is not of this repository. What it has does nothing where no process can gain a privilege.
    const gained = await docker('exec', of('postgres').Id, newgrp, 'root');
    expect(gained.status).not.toBe(0);
  });

  test('have no compiler, no packages of npm, no package cache and no history of git', async () => {
    const tools = [
      'cc',
      'c++',
      'gcc',
      'g++',
      'clang',
      'tcc',
      'as',
      'ld',
      'make',
      'tsc',
      'npm',
      'npx',
      'yarn',
      'corepack',
    ];
    const found = await ofImages(
      `for tool in ${tools.join(' ')}; do command -v "$tool" || true; done
      find / -xdev '(' -name node_modules -o -name .git -o -name .npm -o -name _cacache ')'
      find /var/cache/apt /var/lib/apt/lists -type f ! -name lock`,
    );
    expect(found).toEqual({ ...sameOfImages(''), postgres: expect.stringMatching(/^(\/var\/cache\/apt\/\S+\s*)*$/) });
  });
});

describe('networks', () => {
  const addresses = (service: string) =>
    Object.values(
      (of(service).NetworkSettings as unknown as { Networks: Record<string, { IPAddress: string }> }).Networks,
    ).map(({ IPAddress }) => IPAddress);
  type Way = [from: string, to: string, port: number];
  const connects = async ([from, to, port]: Way) => {
    const ran = await docker('exec', of(from).Id, 'timeout', '1', 'bash', '-c', `</dev/tcp/${to}/${port}`);
    return ran.status === 0;
  };

  test('let the proxy and the ingress reach what they pass requests to, and no database', async () => {
    const [database] = addresses('postgres');
    expect(addresses('postgres')).toHaveLength(1);
    expect(await connects(['roster-api', database!, 5432])).toBe(true);
    expect(await connects(['roster-api', 'postgres', 5432])).toBe(true);
    expect(await connects(['proxy', 'roster-api', 3000])).toBe(true);
    const refused = ['proxy', 'ingress'].flatMap((from) => ['postgres', database!].map((to): Way => [from, to, 5432]));
    const past = addresses('roster-api').map((to): Way => ['ingress', to, 3000]);
    const reached = await Promise.all([...refused, ...past].map(async (way) => ((await connects(way)) ? [way] : [])));
    expect(reached.flat()).toEqual([]);
    const proxied = await Promise.all(addresses('proxy').map((to) => connects(['ingress', to, 8443])));
    expect(proxied.toSorted()).toEqual([false, true]);
  });

  test('let nothing out that has to do with data alone', async () => {
    const inside = containers.filter((container) => ON_DATA_ALONE.test(serviceOf(container)));
    const outcome = await ofEach(
      async ({ Id }) => (await docker('exec', Id, 'timeout', '1', 'bash', '-c', '</dev/tcp/192.0.2.1/80')).output,
      inside,
    );
    expect(outcome).toEqual(same(expect.stringContaining('Network is unreachable'), inside));
  });
});

describe('a process that stands still', () => {
  const health = async ({ Id }: Container) =>
    succeeded(await docker('inspect', '--format={{.State.Health.Status}}', Id));
  const signal = (container: Container, name: string) => said(container, `kill -s ${name} -- -1`);
  const become = (container: Container, state: string) =>
    until(`${nameOf(container)} to be ${state}`, 120, async () => (await health(container)) === state);

  /** All but the first process of a container, which waits for them, and the shell that says so. */
  async function noticed(container: Container) {
    await signal(container, 'STOP');
    try {
      await become(container, 'unhealthy');
    } finally {
      await signal(container, 'CONT');
    }
    await become(container, 'healthy');
  }

  test('makes its container unhealthy, until it goes on', async () => {
    const others = KNOWN.filter((service) => !['backup', 'postgres', ONE_SHOT].includes(service));
    // Without Postgres there is nothing to back up, so one after the other.
    const both = async () => [await noticed(of('backup')), await noticed(of('postgres'))];
    await Promise.all([both(), ...others.map((service) => noticed(of(service)))]);
  });
});
