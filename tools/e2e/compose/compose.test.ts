import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openComposeStack, serviceOf, succeeded, type ComposeStack } from './compose-stack.ts';
import { freshClone, services } from './fresh-clone.ts';
import { until } from './until.ts';

// The development stack on a fresh clone, from `scripts/setup` to `docker compose stop`: one story, told in order.

const clone = freshClone();
let stack: ComposeStack;

beforeAll(async () => {
  stack = await openComposeStack(clone.folder, 'keelson-e2e', { SERVICE_COMMIT: 'c0ffee' });
  await stack.remove(); // what a run that was killed left
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await stack.account());
});
afterAll(async () => {
  await stack.remove();
  clone.remove();
});

const file = (path: string) => join(clone.folder, path);
const script = async (name: string, ...args: string[]) => succeeded(await stack.run(`scripts/${name}`, ...args));
const sql = (query: string) => script('psql', '--compose', 'roster-api', '-Atc', query);
const settings = () =>
  Object.fromEntries(
    [...readFileSync(file('.env'), 'utf8').matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  );
const secret = (name: string) => readFileSync(file(`.secrets/${name}`), 'utf8');
const modeOf = (path: string) => statSync(file(path)).mode & 0o777;
const ask = async (path: string, init?: RequestInit) =>
  fetch(new URL(path, stack.url), { ...init, headers: { ...(await stack.authorization()), ...init?.headers } });
const post = (path: string, body: unknown, headers = {}) =>
  ask(path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
const logOf = async (id: string) => (await stack.docker('logs', id)).output;

describe('scripts/setup', () => {
  test('is named by the sentence that a start without it ends with', async () => {
    const { status, output } = await stack.compose('config', '--quiet');
    expect(status).not.toBe(0);
    expect(output).toMatch(/required variable \w+ is missing a value: run scripts\/setup/);
  });

  test('writes .env and the secrets for their owner alone, and the override', async () => {
    await script('setup');
    expect(modeOf('.env')).toBe(0o600);
    expect(Number(settings()['HOST_UID'])).toBeGreaterThan(0);
    expect(settings()['STACK']).toBe(undefined);
    expect(modeOf('.secrets')).toBe(0o700);
    const passwords = [...services, 'migrator', 'postgres'].map((name) => `${name}-password`);
    const names = [...passwords, 'administrator', 'exports-worker-client', 'signing-keys'];
    expect(readdirSync(file('.secrets')).toSorted()).toEqual(names.toSorted());
    for (const name of names) {
      expect(secret(name)).toMatch(/^[0-9a-f]{48}\n$/);
      expect(modeOf(`.secrets/${name}`)).toBe(0o444);
    }
    expect(new Set(names.map(secret)).size).toBe(names.length);
    expect(readFileSync(file('docker-compose.override.yml'))).toEqual(
      readFileSync(file('docker-compose.override.yml.example')),
    );
  });

  test('keeps what is there, and adds what is not', async () => {
    const before = [readFileSync(file('.env'), 'utf8'), secret('postgres-password')];
    await script('setup');
    expect([readFileSync(file('.env'), 'utf8'), secret('postgres-password')]).toEqual(before);

    writeFileSync(file('.env'), before[0]!.replace(/^HOST_UID=.*\n/m, '').replace(/^HOST_GID=.*$/m, 'HOST_GID='));
    rmSync(file('.secrets/exports-worker-password'));
    const said = await script('setup');
    expect(said).toContain('.env: added HOST_UID');
    expect(said).toContain('.secrets/exports-worker-password: generated');
    expect(settings()['HOST_UID']).toMatch(/^\d+$/);
    expect(settings()['HOST_GID']).toMatch(/^\d+$/);
    expect(secret('exports-worker-password')).toMatch(/^[0-9a-f]{48}\n$/);
    expect(secret('postgres-password')).toBe(before[1]);
    expect(modeOf('.env')).toBe(0o600);
  });

  test('moves the passwords of an older .env into files', async () => {
    const before = readFileSync(file('.env'), 'utf8');
    appendFileSync(file('.env'), '# The superuser.\nPOSTGRES_PASSWORD=older\n# A role.\nROSTER_API_PASSWORD=old\n');
    for (const name of ['postgres', 'roster-api']) rmSync(file(`.secrets/${name}-password`));
    expect(await script('setup')).toContain('.secrets/postgres-password: moved there from POSTGRES_PASSWORD in .env');
    expect([secret('postgres-password'), secret('roster-api-password')]).toEqual(['older\n', 'old\n']);
    expect(readFileSync(file('.env'), 'utf8')).toBe(before);
  });
});

describe('five replicas of roster-api on an empty database', () => {
  beforeAll(() => stack.up('--build', '--scale', 'roster-api=5'));

  test('are all healthy, and so is everything else', async () => {
    const containers = await stack.containers();
    const health = containers.map((container) => [
      serviceOf(container),
      container.State.Health?.Status ?? container.State.ExitCode,
    ]);
    const others = services.filter((name) => name !== 'roster-api');
    const expected = [
      ...[...others, 'postgres', 'proxy'].map((name) => [name, 'healthy']),
      ['provision', 0],
      ...Array(5).fill(['roster-api', 'healthy']),
    ];
    expect(health.toSorted()).toEqual(expected.toSorted());
  });

  test('have applied each migration once', async () => {
    const names = readdirSync(file('services/roster-api/prisma/migrations')).filter((name) => !name.endsWith('.toml'));
    const rows = await sql('SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY 1');
    expect(rows.split('\n')).toEqual(names.toSorted());
    const replicas = await stack.containers('roster-api');
    const said = await Promise.all(replicas.map(({ Id }) => logOf(Id)));
    expect(said.filter((log) => log.includes('applied ')).length).toBe(1);
    expect(said.filter((log) => log.includes('no migration is pending')).length).toBe(4);
  });

  test('share the requests', async () => {
    const ids = Array.from({ length: 50 }, (_, index) => `spread-${index}`);
    for (const id of ids) expect((await ask('/api/v1/workers', { headers: { 'x-request-id': id } })).status).toBe(200);
    const replicas = await stack.containers('roster-api');
    const logs = await Promise.all(replicas.map(({ Id }) => logOf(Id)));
    const shares = logs.map((log) => ids.filter((id) => log.includes(`"requestId":"${id}"`)).length);
    expect(shares.reduce((sum, share) => sum + share)).toBe(50);
    expect(Math.min(...shares)).toBeGreaterThan(0);
  });
});

describe('the stack', () => {
  test('comes up again within seconds when nothing has changed, and builds nothing', async () => {
    await stack.up();
    const before = await stack.containers();
    const { output, ms } = await stack.up();
    expect(output).not.toMatch(/build|built|recreate|pull/i);
    expect(ms).toBeLessThan(15_000);
    const names = (await stack.containers()).map(({ Id, Image }) => [Id, Image]);
    expect(names).toEqual(before.map(({ Id, Image }) => [Id, Image]));
  });

  test('takes no image of this repository from a registry', async () => {
    const config = JSON.parse(succeeded(await stack.compose('config', '--format=json')));
    const built = Object.values<{ build?: object; pull_policy?: string }>(config.services).filter(({ build }) => build);
    expect(built.map(({ pull_policy }) => pull_policy)).toEqual(Array(services.length + 2).fill('never'));
  });

  test('says which commit it is, where it was told', async () => {
    const address = succeeded(await stack.compose('port', 'roster-api', '3000'));
    expect(await (await fetch(`http://${address}/healthz`)).json()).toMatchObject({ commit: 'c0ffee' });
  });

  test('passes the end-to-end suite', async () => {
    const { status, output } = await stack.suite();
    if (status !== 0) console.error(output);
    expect(status).toBe(0);
  });

  test('has no container that runs as root, can become it, or may use up the machine', async () => {
    await stack.up('adminer');
    for (const container of await stack.containers()) {
      const { Init, CapDrop, SecurityOpt, ReadonlyRootfs, Memory, PidsLimit, LogConfig } = container.HostConfig;
      expect([container.Name, { Init, CapDrop, SecurityOpt, ReadonlyRootfs }]).toEqual([
        container.Name,
        { Init: true, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges:true'], ReadonlyRootfs: true },
      ]);
      expect([container.Name, Memory > 0 && Memory <= 2 ** 30]).toEqual([container.Name, true]);
      expect([container.Name, PidsLimit, LogConfig.Config]).toEqual([
        container.Name,
        512,
        { 'max-size': '10m', 'max-file': '3' },
      ]);
      expect([container.Name, container.State.OOMKilled, container.RestartCount]).toEqual([container.Name, false, 0]);
      if (container.State.Status !== 'running') continue;
      expect(succeeded(await stack.docker('exec', container.Id, 'id', '-u'))).not.toBe('0');
      expect(succeeded(await stack.docker('exec', container.Id, 'cat', '/proc/1/comm'))).toMatch(/init|tini/);
    }
  });

  test('is reached from this machine alone, and has no way out of its data network', async () => {
    const ports = (await stack.containers()).flatMap(({ NetworkSettings }) =>
      Object.values(NetworkSettings.Ports).flat(),
    );
    const published = ports.filter((port) => port !== null);
    expect(published.length).toBeGreaterThanOrEqual(6);
    expect([...new Set(published.map(({ HostIp }) => HostIp))]).toEqual(['127.0.0.1']);
    const network = `${stack.project}_data`;
    expect(succeeded(await stack.docker('network', 'inspect', network, '--format={{.Internal}}'))).toBe('true');
  });

  test('lets a debugger in', async () => {
    for (const service of ['roster-api', 'exports-worker']) {
      const address = succeeded(await stack.compose('port', service, '9229'));
      expect(await (await fetch(`http://${address}/json/list`)).json()).toMatchObject([{ type: 'node' }]);
    }
  });

  test('has its database and the database UI on a port', async () => {
    const address = succeeded(await stack.compose('port', 'adminer', '8080'));
    expect(await (await fetch(`http://${address}`)).text()).toContain('Adminer');
    expect(succeeded(await stack.compose('port', 'postgres', '5432'))).toMatch(/^127\.0\.0\.1:\d+$/);
  });
});

describe('live source', () => {
  /** `change` writes the file; the answer must tell of it. */
  // The promise is 2 s on a machine of its own; three times that where it does other work meanwhile.
  const RELOAD_MS = 3 * 2000;
  const answersSoon = async (version: string, change: (path: string, text: string) => void) => {
    const path = file('services/roster-api/src/main.ts');
    const source = readFileSync(path, 'utf8');
    const address = succeeded(await stack.compose('port', 'roster-api', '3000'));
    change(path, `process.env['SERVICE_VERSION'] = '${version}';\n${source.replace(/^process.*\n/, '')}`);
    const { ms } = await until(`an answer of ${version}`, 20, async () => {
      const answer = await fetch(`http://${address}/healthz`).catch(() => undefined);
      return (await answer?.text())?.includes(`"${version}"`);
    });
    expect(ms).toBeLessThan(RELOAD_MS);
  };

  test('answers soon after a save, time after time', async () => {
    await answersSoon('saved-once', writeFileSync);
    await answersSoon('saved-twice', writeFileSync);
  });

  test('does so too where an editor replaces the file', async () => {
    const replace = (path: string, text: string) => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    await answersSoon('replaced-once', replace);
    await answersSoon('replaced-twice', replace);
  });

  test('is reloaded when a lib changes', async () => {
    const [{ Id } = { Id: '' }] = await stack.containers('exports-worker');
    const starts = async () => (await logOf(Id)).split('waiting for jobs').length;
    const before = await starts();
    appendFileSync(file('libs/queue/src/worker.ts'), '\n');
    await until('a restart of exports-worker', 10, async () => (await starts()) > before);
  });

  test('belongs to its owner, also what a container wrote', async () => {
    await script('shell', 'roster-api', 'touch', 'src/made-inside.ts', 'prisma/made-inside');
    const { HOST_UID, HOST_GID } = settings();
    for (const made of ['src/made-inside.ts', 'prisma/made-inside']) {
      const { uid, gid } = statSync(file(`services/roster-api/${made}`));
      expect([uid, gid]).toEqual([Number(HOST_UID), Number(HOST_GID)]);
    }
  });
});

describe('an export whose worker is killed', () => {
  const ROWS = 300_000;
  const requestId = 'killed-in-the-middle';
  let exportPath: string;

  const worksOnIt = async () => {
    const workers = (await stack.containers('exports-worker')).filter(({ State }) => State.Status === 'running');
    const logs = await Promise.all(workers.map(async ({ Id }) => ({ Id, lines: (await logOf(Id)).split('\n') })));
    return logs.find(({ lines }) => lines.some((line) => line.includes(requestId) && line.includes('job started')))?.Id;
  };
  const state = async () => (await (await ask(exportPath)).json()) as { state: string; rowsDone: number };

  test('is taken over by another within 35 s, and is whole', async () => {
    await stack.up('--scale', 'exports-worker=2');
    await script('db', 'seed', '--compose', '--rows', String(ROWS));
    const asked = await post('/api/v1/exports', {}, { 'x-request-id': requestId });
    expect(asked.status).toBe(202);
    exportPath = asked.headers.get('location')!;
    await until('rows in the file', 30, async () => (await state()).rowsDone > 0);

    const { answer: victim } = await until('a worker at it', 10, worksOnIt);
    succeeded(await stack.docker('kill', victim));
    expect((await state()).state).toBe('running');
    const { ms } = await until('another worker at it', 60, worksOnIt);
    expect(ms).toBeLessThan(35_000);

    await until('the end of the export', 100, async () => (await state()).state === 'done');
    const lines = (await (await ask(`${exportPath}/file`)).text()).split('\r\n');
    const total = Number(await sql('SELECT count(*) FROM "Worker"'));
    expect(lines[0]).toBe('id,name,role,email,hiredOn');
    expect(lines.at(-1)).toBe('');
    expect(new Set(lines.slice(1, -1).map((line) => line.split(',')[0])).size).toBe(total);
    expect(lines.length - 2).toBe(total);
    expect(total).toBeGreaterThanOrEqual(ROWS);
  }, 300_000);

  test('leaves nothing half written behind once the stack is whole again', async () => {
    await stack.up();
    expect((await state()).state).toBe('done');
  });

  test('is still there, like all other data, after docker compose down', async () => {
    const before = await ask(`${exportPath}/file`, { method: 'HEAD' });
    succeeded(await stack.compose('down'));
    expect(await stack.containers()).toEqual([]);
    await stack.up();
    const after = await ask(`${exportPath}/file`, { method: 'HEAD' });
    expect([after.status, after.headers.get('content-length')]).toEqual([200, before.headers.get('content-length')]);
    expect(Number(await sql('SELECT count(*) FROM "Worker"'))).toBeGreaterThanOrEqual(ROWS);
  });
});

describe('the verbs', () => {
  test('scripts/keys rotate changes the key that signs, and no token is refused', async () => {
    let ran = await stack.run('scripts/keys', 'rotate', '--compose');
    // The next key has to be known everywhere before it signs.
    await until('the rotation', 90, async () => {
      if (ran.status !== 0) ran = await stack.run('scripts/keys', 'rotate', '--compose');
      return ran.status === 0;
    });
    expect(ran.output).toMatch(/^the key \S+ signs now; 3 keys are published\n$/);
    expect((await ask('/api/v1/workers?limit=1')).status).toBe(200);
    const newer = { authorization: `Bearer ${await script('token', '--compose')}` };
    expect((await ask('/api/v1/workers?limit=1', { headers: newer })).status).toBe(200);
    const again = await stack.run('scripts/keys', 'rotate', '--compose');
    expect([again.status, again.output]).toEqual([1, expect.stringMatching(/rotate again in \d+ s/)]);
  });

  test('scripts/db', async () => {
    expect(await script('db', 'ready', '--compose')).toContain('the database is ready');
    expect((await stack.run('scripts/db', 'migrate', '--compose')).output).toContain('no migration is pending');
    const refused = await stack.run('scripts/db', 'reset', '--compose');
    expect([refused.status, refused.output]).toEqual([1, expect.stringContaining('--yes')]);
    const exported = () => script('shell', 'exports-worker', 'find', '/media', '-name', '*.csv');
    expect(await exported()).not.toBe('');
    expect((await stack.run('scripts/db', 'reset', '--compose', '--yes')).output).toContain('applied ');
    expect(await sql('SELECT count(*) FROM "Worker"')).toBe('0');
    expect(await exported()).toBe('');
    await script('db', 'seed', '--rows', '10', '--compose');
    // The keys and the administrator are others now.
    await until('identity-api', 20, async () => (await stack.run('scripts/token', '--compose')).status === 0);
    const headers = { authorization: `Bearer ${await script('token', '--compose')}` };
    expect(await (await ask('/api/v1/workers?limit=200', { headers })).json()).toMatchObject({ items: { length: 10 } });
  });

  test('scripts/psql shows a service its own schema and no other', async () => {
    const other = await stack.run('scripts/psql', '--compose', 'exports-worker', '-c', 'SELECT 1 FROM roster."Worker"');
    expect(other.output).toContain('permission denied for schema roster');
    expect(await script('psql', '--compose', '-Atc', 'SELECT current_user')).toBe('postgres');
  });

  test.each([
    'CREATE TABLE t ()',
    'CREATE TEMPORARY TABLE t ()',
    'ALTER TABLE "Worker" ADD COLUMN t text',
    'TRUNCATE "Worker"',
    'DROP TABLE "Worker"',
    'DELETE FROM _prisma_migrations',
  ])('a service, which reads and writes rows, is refused %s', async (statement) => {
    const { status, output } = await stack.run('scripts/psql', '--compose', 'roster-api', '-c', statement);
    expect([status, output]).toEqual([1, expect.stringMatching(/permission denied|must be owner/)]);
  });

  test('scripts/logs and scripts/shell', async () => {
    expect(await script('logs', '--compose', '--once', 'roster-api')).toContain('"msg":"listening"');
    expect(await script('shell', 'roster-api', 'pwd')).toBe('/workspace/services/roster-api');
    expect(await script('shell', 'provision', 'pwd')).toBe('/workspace/services/provision');
  });

  test.each(['setup', 'db', 'psql', 'shell', 'logs', 'token', 'keys'])('scripts/%s --help', async (name) => {
    expect(await script(name, '--help')).toContain(`Usage: scripts/${name}`);
  });
});

describe('the entrypoint', () => {
  const start = (...args: string[]) => stack.compose('run', '--rm', '--no-deps', '-T', ...args);

  test('refuses a MIGRATE that it does not know', async () => {
    const { status, output } = await start('--env=MIGRATE=nonsense', 'roster-api', 'true');
    expect(status).toBe(78);
    expect(output).toContain('MIGRATE is "nonsense": it must be run, wait or skip');
  });

  test('gives up on a database that does not answer, and says where, without the password', async () => {
    const { status, output } = await start(
      '--env=DATABASE_WAIT_SECONDS=2',
      '--env=DATABASE_URL=postgresql://someone@postgres:1/keelson',
      'roster-api',
      'true',
    );
    expect(status).toBe(1);
    expect(output).toMatch(/waiting for Postgres at postgres:1\/keelson as someone: .*ECONNREFUSED.* \(1 s of 2\)/);
    expect(output).toContain('did not answer within 2 s');
    expect(output).not.toContain(secret('roster-api-password').trim());
  });

  test('ends at once, and well, when it is stopped while it waits for Postgres', async () => {
    const nowhere = '--env=DATABASE_URL=postgresql://someone@postgres:1/keelson';
    const id = succeeded(await stack.compose('run', '--detach', '--no-deps', nowhere, 'roster-api', 'true'));
    await until('a wait for Postgres', 10, async () => (await logOf(id)).includes('waiting for Postgres'));
    const { ms } = await stack.docker('stop', id);
    expect(ms).toBeLessThan(3000);
    expect(succeeded(await stack.docker('inspect', '--format={{.State.ExitCode}}', id))).toBe('0');
    await stack.docker('rm', id);
  });

  describe('with a migration that is pending', () => {
    const applied = (name: string) =>
      sql(`SELECT count(*) FROM _prisma_migrations WHERE migration_name = '${name}' AND finished_at IS NOT NULL`);
    const write = (name: string, statements: string) => {
      const folder = file(`services/roster-api/prisma/migrations/${name}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'migration.sql'), statements);
    };

    test('leaves it alone under MIGRATE=skip', async () => {
      write('29990101000000_first', 'CREATE TABLE first (id integer);\n');
      expect(succeeded(await start('--env=MIGRATE=skip', 'roster-api', 'echo', 'started'))).toBe('started');
      expect(await applied('29990101000000_first')).toBe('0');
    });

    test('waits under MIGRATE=wait, says for what, and goes on once somebody has applied it', async () => {
      const run = ['--detach', '--no-deps', '--env=MIGRATE=wait', 'roster-api', 'echo', 'started'];
      const id = succeeded(await stack.compose('run', ...run));
      const waits = 'waiting for 1 migrations, first 29990101000000_first';
      await until('a wait for the migration', 10, async () => (await logOf(id)).includes(waits));
      expect(await logOf(id)).not.toContain('started');
      await script('db', 'migrate', '--compose');
      await until('a start', 10, async () => (await logOf(id)).includes('started'));
      await stack.docker('rm', '--force', id);
    });

    test('does not start when it fails, names file and error, and applies it once it is corrected', async () => {
      write('29990101000001_second', 'CREATE TABLE second (id integer);\nALTER TABLE second DROP COLUMN missing;\n');
      const { status, output } = await start('roster-api', 'echo', 'started');
      expect(status).toBe(1);
      expect(output).toContain('29990101000001_second/migration.sql');
      expect(output).toContain('column "missing" of relation "second" does not exist');
      expect(output).not.toContain('started');

      write('29990101000001_second', 'CREATE TABLE second (id integer);\n');
      expect(succeeded(await start('roster-api', 'echo', 'started'))).toBe('started');
      expect(await applied('29990101000001_second')).toBe('1');
    });
  });

  test('lets a command without a database through', async () => {
    expect(succeeded(await start('--env=DATABASE_URL=', 'roster-api', 'echo', 'hello'))).toBe('hello');
  });
});

describe('docker compose stop', () => {
  test('ends every container with exit code 0 in under 5 s', async () => {
    await stack.up();
    await stack.up('adminer');
    const { ms } = await stack.compose('stop');
    const ends = (await stack.containers()).map((container) => [serviceOf(container), container.State.ExitCode]);
    const expected = [...services, 'adminer', 'postgres', 'provision', 'proxy'].map((name) => [name, 0]);
    expect(ends.toSorted()).toEqual(expected.toSorted());
    expect(ms).toBeLessThan(5000);
  });
});
