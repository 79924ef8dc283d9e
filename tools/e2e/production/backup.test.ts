import { readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLoad, verify } from '@keelson/load';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openComposeStack, succeeded, WAY_IN, type ComposeStack } from '../compose/compose-stack.ts';
import { freshClone } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';
import { sentence } from './sentence.ts';
import { bearableRate, type Target } from './under-load.ts';

// The backup service of a deployed stack, `scripts/backup` and `scripts/restore`: one story, told in order. Clients come by a
// port of the proxy, which for that speaks plain HTTP.

const IMAGES = ['identity-api', 'roster-api', 'exports-worker', 'proxy', 'provision', 'backup'];
/** Of one client, from which all of the load comes. */
const PLAIN =
  "services: { proxy: { environment: { PROXY_TLS: 'off', PROXY_RATE_LIMIT: 10000r/s, PROXY_CLIENT_REQUESTS: 10000 } } }\n";
const LOST_MS = 1000;
const TO_SERVE_MS = 60_000;

const clone = freshClone();
const scratch = mkdtempSync(join(tmpdir(), 'keelson-e2e-backup-'));
const ledger = join(scratch, 'ledger');
let stack: ComposeStack;
let target: Target;
let rate: number;

beforeAll(async () => {
  stack = await openComposeStack(clone.folder, 'keelson-e2e-backup', {
    STACK: 'e2e',
    COMPOSE_ENV_FILES: '.env.e2e',
    ROSTER_API_REPLICAS: '1',
    IDENTITY_API_REPLICAS: '1',
    IMAGE_TAG: 'v1',
  });
  writeFileSync(join(clone.folder, 'way-in.yml'), WAY_IN);
  writeFileSync(join(clone.folder, 'plain.yml'), PLAIN);
  const setup = [`DOMAIN=${stack.project}.example.com`, `REGISTRY=${stack.project}`];
  succeeded(await stack.run('env', ...setup, 'scripts/setup', 'e2e'));
  const file = join(clone.folder, '.env.e2e');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^COMPOSE_FILE=.*/m, '$&:way-in.yml:plain.yml'));
  await remove(); // what a run that was killed left
  succeeded(await stack.docker('buildx', 'bake', '--file=docker-bake.hcl', '--load', ...IMAGES));
  succeeded(await stack.run('scripts/deploy', 'v1'));
  target = { url: stack.url, tokenCommand: stack.tokenCommand, ledger };
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
  await stack.docker('rm', '--force', `${stack.project}-deploy`);
  await stack.remove();
  await stack.docker('volume', 'rm', `${stack.project}_deploys`, `${stack.project}_certificates`);
}

const sql = async (statement: string) =>
  succeeded(await stack.run('scripts/psql', '--tuples-only', '--no-align', '--quiet', `--command=${statement}`)).trim();
const list = async () =>
  succeeded(await stack.run('scripts/backup', '--list'))
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(/ +/)[0]!);
const backUp = async () => {
  succeeded(await stack.run('scripts/backup'));
  return (await list()).at(-1)!;
};
const inBackups = async (...command: string[]) => succeeded(await stack.compose('exec', '-T', 'backup', ...command));
const folderOf = (id: string) => inBackups('sh', '-c', `echo /backups/*/${id}`);
const restore = (...args: string[]) => stack.run('scripts/restore', ...args);

async function addWorker(name: string) {
  const worker = { name, role: 'kept', email: `${name}@example.com`, hiredOn: '2024-02-29' };
  const headers = { ...(await stack.authorization()), 'content-type': 'application/json' };
  const body = JSON.stringify(worker);
  const answer = await fetch(`${stack.url}/api/v1/workers`, { method: 'POST', headers, body });
  expect(answer.status).toBe(201);
}
async function workersOf(role: string): Promise<string[]> {
  const answer = await fetch(`${stack.url}/api/v1/workers?role=${role}`, { headers: await stack.authorization() });
  const { items } = (await answer.json()) as { items: { name: string }[] };
  return items.map(({ name }) => name).toSorted();
}
const serves = async () => {
  const answer = await fetch(`${stack.url}/api/v1/workers?limit=1`, { headers: await stack.authorization() }).catch(
    () => undefined,
  );
  return answer?.status === 200;
};

/** Writes until there are so many in the ledger. */
async function startWriting(count: number) {
  const load = await startLoad({ ...target, rate });
  const written = () => readFileSync(ledger, 'utf8').split('\n').length;
  await until('the writes', 180, async () => written() > count);
  return load;
}

/** @returns when, in milliseconds since 1970 */
async function destroyDatabase() {
  const [postgres] = await stack.containers('postgres');
  const instant = Date.now();
  succeeded(await stack.docker('rm', '--force', postgres!.Id));
  succeeded(await stack.docker('volume', 'rm', `${stack.project}_postgres`));
  return instant;
}

/** Those that there were before the last disaster. */
let older: string[];

/** Restores what is left of a database that is written to and destroyed, and says what of that is lost. */
async function loseDatabase() {
  older = await list();
  const load = await startWriting(300);
  const instant = await destroyDatabase();
  await load.stop();
  // Whichever release somebody is about to deploy, the one that runs gets its data back.
  const { ms } = await stack
    .run('env', 'IMAGE_TAG=v2', 'scripts/restore', '--yes')
    .then((ran) => (succeeded(ran), ran));
  const { ms: more } = await until('an answer', 30, serves);
  expect(ms + more).toBeLessThan(TO_SERVE_MS);
  return verify({ ...target, instant });
}

test('a stack that was deployed has a verified backup soon, without anybody asking', async () => {
  await until('a backup', 60, async () => (await list()).length > 0);
  rate = await bearableRate(target);
});

test('a backup is taken while many write, and nobody notices', async () => {
  const load = await startWriting(50);
  const [first] = await list();
  const id = await backUp();
  expect(id > first!).toBe(true);
  const { failures, failed, requests } = await load.stop();
  expect({ failures: failures.first, failed }).toEqual({ failures: [], failed: 0 });
  expect(requests).toBeGreaterThan(200);
  const tables = await inBackups('cat', `${await folderOf(id)}/tables`);
  expect(tables).toMatch(/^roster\.Worker\|[1-9]\d*\|-?\d+$/m);
});

test('a backup of a database that has lost something on its disk fails, and the service says so until one succeeds', async () => {
  const before = await list();
  await sql('CREATE TABLE rot WITH (autovacuum_enabled = off) AS SELECT generate_series(1, 1000) AS n');
  // From here on nobody who reads it, nor autovacuum, writes it anew from memory.
  await sql('VACUUM FREEZE rot');
  await sql('CHECKPOINT');
  const file = `/var/lib/postgresql/18/docker/${await sql("SELECT pg_relation_filepath('rot')")}`;
  const damage = `printf rotten | dd of=${file} bs=1 seek=4000 conv=notrunc status=none`;
  succeeded(await stack.compose('exec', '-T', 'postgres', 'sh', '-c', damage));
  await failsToBackUp();
  // Who takes its place has to get healthy: it may be a rollback's, or one of a deploy without a backup.
  await stack.up('--no-deps', '--force-recreate', 'backup');
  await failsToBackUp();
  expect(await list()).toEqual(before);
  await sql('DROP TABLE rot');
  await backUp();
  await inBackups('backup', 'healthy');
});

async function failsToBackUp() {
  const { status, output } = await stack.run('scripts/backup');
  expect([status, sentence(output)]).toEqual([1, 'The backup failed: pg_basebackup failed: checksum error occurred']);
  const health = await stack.compose('exec', '-T', 'backup', 'backup', 'healthy');
  expect([health.status, health.output]).toEqual([1, expect.stringMatching(/^The last backup failed: .*checksum/)]);
}

test('a restore asks first, and touches nothing where nobody can be asked', async () => {
  const ids = (await stack.containers()).map(({ Id }) => Id);
  const { status, output } = await restore();
  expect([status, sentence(output)]).toEqual([1, expect.stringMatching(/^Nothing was touched yet\. Say --yes/)]);
  expect(output).toContain('Every table has as many rows as now.');
  expect((await stack.containers()).map(({ Id }) => Id)).toEqual(ids);
});

test('a database that is destroyed under writes comes back, but for at most one second of them', async () => {
  const { lost, strange, beforeInstant } = await loseDatabase();
  expect(strange.count).toBe(0);
  console.log(`lost: ${lost.count}, the oldest ${beforeInstant!.oldestLost} ms before`);
  expect(beforeInstant!.oldestLost ?? 0).toBeLessThan(LOST_MS);
});

test('what was restored has a backup of its own soon', async () => {
  await until('a backup', 60, async () => (await list()).some((id) => !older.includes(id)));
});

test('with synchronous streaming none is lost', async () => {
  const file = join(clone.folder, '.env.e2e');
  writeFileSync(file, `${readFileSync(file, 'utf8')}\nBACKUP_SYNCHRONOUS=on\n`);
  await stack.up('--no-deps', 'backup');
  await until('the standby', 30, async () => (await sql('SHOW synchronous_standby_names')) === 'backup');
  const { lost, strange } = await loseDatabase();
  expect({ lost: lost.first, strange: strange.count }).toEqual({ lost: [], strange: 0 });
});

test('a restore goes back to a point in time, says what it costs, and keeps what was there', async () => {
  await until('a backup', 60, async () => (await sql('SHOW synchronous_standby_names')) === 'backup');
  await backUp();
  await addWorker('before');
  const time = new Date(Date.now() + 1);
  await until('the next moment', 1, async () => Date.now() > time.getTime() + 1);
  await addWorker('after');
  // What is restored then knows other passwords than the secrets say.
  succeeded(await stack.run('scripts/secrets', 'rotate'));
  expect(await workersOf('kept')).toEqual(['after', 'before']);
  const { output } = await restore('--to', time.toISOString(), '--yes').then((ran) => (succeeded(ran), ran));
  expect(output).toMatch(/roster\.Worker: (\d+) rows now, \d+ then/);
  await until('an answer', 30, serves);
  expect(await workersOf('kept')).toEqual(['before']);
  const kept = /^ *(before-\S+)$/m.exec(output)![1];
  succeeded(await stack.compose('exec', '-T', 'postgres', 'ls', `/var/lib/postgresql/18/${kept}/PG_VERSION`));
});

test('a time that no backup reaches is refused', async () => {
  const past = await restore('--to', '2020-01-01T00:00:00Z', '--yes');
  expect([past.status, sentence(past.output)]).toEqual([
    1,
    expect.stringMatching(/^There is no verified backup from before that time/),
  ]);
  const future = await restore('--to', '2099-01-01T00:00:00Z', '--yes');
  expect([future.status, sentence(future.output)]).toEqual([1, '2099-01-01T00:00:00Z is in the future.']);
  const never = await restore('--to', 'never', '--yes');
  expect([never.status, sentence(never.output)]).toEqual([1, expect.stringMatching(/^--to takes a time such as/)]);
});

test('a backup that was cut short is refused before anything is dropped', async () => {
  const id = await backUp();
  const file = `${await folderOf(id)}/base/base.tar.gz`;
  await inBackups('sh', '-c', `cp ${file} /backups/whole && truncate --size=-1000 ${file}`);
  const before = await stack.containers();
  const { status, output } = await restore('--yes');
  expect([status, sentence(output)]).toEqual([1, expect.stringMatching(`^The backup ${id} is damaged: `)]);
  const after = await stack.containers();
  expect(after.map(({ Id, State }) => [Id, State.Status])).toEqual(before.map(({ Id, State }) => [Id, State.Status]));
  expect(await workersOf('kept')).toEqual(['before']);
  await inBackups('mv', '/backups/whole', file);
});

test('a write-ahead log with a gap or a damaged part is refused, too', async () => {
  const id = await backUp();
  const wal = (await folderOf(id)).replace(id, 'wal');
  await sql('SELECT pg_switch_wal()');
  await addWorker('later');
  await sql('SELECT pg_switch_wal()');
  await addWorker('latest');
  await sql('SELECT pg_switch_wal()');
  const segments = async () => (await inBackups('ls', wal)).split('\n').filter((name) => !name.endsWith('.partial'));
  const count = (await segments()).length;
  await until('the segments', 30, async () => (await segments()).length >= count);
  const segment = `${wal}/${(await segments()).at(-2)}`;
  await inBackups('mv', segment, '/backups/whole');
  const gap = await restore('--yes');
  expect([gap.status, sentence(gap.output)]).toEqual([1, expect.stringMatching('^The write-ahead log has a gap: ')]);
  await inBackups('sh', '-c', `head -c 8192 /dev/zero | cat - /backups/whole | head -c 16777216 >${segment}`);
  const damaged = await restore('--yes');
  expect([damaged.status, sentence(damaged.output)]).toEqual([
    1,
    expect.stringMatching('^The write-ahead log is damaged: '),
  ]);
  await inBackups('mv', '/backups/whole', segment);
  expect(await workersOf('kept')).toEqual(['before', 'later', 'latest'].toSorted());
});

test('what is older than the days that are set goes with the next one, and the log that only it needs', async () => {
  const id = await backUp();
  const folder = await folderOf(id);
  await inBackups('mv', folder, folder.replace(id, '20200101T000000Z'));
  await backUp();
  expect(await list()).not.toContain('20200101T000000Z');
  expect((await inBackups('sh', '-c', 'ls /backups')).split('\n')).not.toContain('new');
});

test('on a machine that has nothing else, the backups are enough', async () => {
  const names = await workersOf('kept');
  const file = '/media/exports/kept.csv';
  const write = `mkdir -p /media/exports && echo kept >${file}`;
  succeeded(await stack.compose('exec', '-T', 'exports-worker', 'sh', '-c', write));
  await backUp();
  succeeded(await stack.compose('down', '--timeout=3'));
  for (const name of ['postgres', 'postgres-socket', 'media', 'deploys', 'certificates'])
    succeeded(await stack.docker('volume', 'rm', `${stack.project}_${name}`));
  succeeded(await restore('--yes'));
  const kept = await sql(`SELECT name FROM roster."Worker" WHERE role = 'kept' ORDER BY name`);
  expect(kept.split('\n')).toEqual(names);
  const read = ['run', '--rm', '--no-deps', '-T', '--entrypoint=cat', 'exports-worker', file];
  expect(succeeded(await stack.compose(...read))).toBe('kept');
});
