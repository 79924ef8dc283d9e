import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openComposeStack, succeeded, type Container, type ComposeStack } from '../compose/compose-stack.ts';
import { freshClone } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';

// Many replicas that start at once on an empty database, each of which may apply the migrations: one of these takes until the
// test lets it end, and does twice what it does if it is applied twice.

const REPLICAS = 20;
const SLOW = '20990101000000_slow';
const SQL = `
  DO $do$ BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = $$may_end$$) LOOP PERFORM pg_sleep(1); END LOOP;
  END $do$;
  CREATE TABLE IF NOT EXISTS applied ();
  INSERT INTO applied DEFAULT VALUES;`.replaceAll('\n', ' ');

const clone = freshClone();
const scratch = mkdtempSync(join(tmpdir(), 'keelson-e2e-migrations-'));
let stack: ComposeStack;

beforeAll(async () => {
  stack = await openComposeStack(clone.folder, 'keelson-e2e-migrations', { COMPOSE_FILE: 'docker-compose.yml' });
  await stack.remove(); // what a run that was killed left
  succeeded(await stack.run('scripts/setup'));
  succeeded(await stack.compose('build', 'roster-api', 'provision'));
  const image = `${stack.project}/roster-api:local`;
  const folder = `prisma/migrations/${SLOW}`;
  const lines = [
    `FROM ${image}`,
    'USER root',
    `RUN mkdir ${folder} && echo '${SQL}' >${folder}/migration.sql`,
    'USER node',
  ];
  writeFileSync(join(scratch, 'Dockerfile'), lines.join('\n'));
  succeeded(await stack.docker('build', '--quiet', `--tag=${image}`, scratch));
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await stack.account());
});
afterAll(async () => {
  await stack.remove();
  clone.remove();
  rmSync(scratch, { recursive: true });
});

const psql = (query: string) => {
  const options = ['--username=postgres', '--dbname=keelson', '--no-psqlrc', '--no-align', '--tuples-only'];
  return stack.docker('exec', `${stack.project}-postgres-1`, 'psql', ...options, `--command=${query}`);
};
const sql = async (query: string) => succeeded(await psql(query));

/** The container that is in the middle of the slow migration, and the process of its session. */
async function leader(): Promise<{ container: Container; pid: string } | undefined> {
  const { status, stdout } = await psql("SELECT pid, client_addr FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  if (status !== 0) return undefined; // there is no database yet
  const [pid, address] = stdout.trim().split('|');
  const container = (await stack.containers('roster-api')).find(
    (container) => address && addressIn(container) === address,
  );
  return container && { container, pid: pid! };
}
const addressIn = ({ NetworkSettings }: Container) =>
  (NetworkSettings as object as { Networks: Record<string, { IPAddress: string } | undefined> }).Networks[
    `${stack.project}_data`
  ]?.IPAddress;

test(`${REPLICAS} replicas start at once, the one that migrates is killed, and it is applied once`, async () => {
  const started = stack.compose('up', '--detach', '--no-build', `--scale=roster-api=${REPLICAS}`, 'roster-api');
  const { answer: first } = await until('a replica that applies the slow migration', 300, leader);
  const killed = first.container;
  // All that runs in it. After `docker kill` it would not start again.
  await stack.docker('exec', killed.Id, 'sh', '-c', 'kill -9 -1');
  await until('another one that applies it', 120, async () => ![undefined, first.pid].includes((await leader())?.pid));
  await sql('CREATE TABLE public.may_end ()');
  succeeded(await started);

  const { answer: replicas } = await until(`${REPLICAS} healthy replicas`, 240, async () => {
    const all = await stack.containers('roster-api');
    return all.every(({ State }) => State.Health?.Status === 'healthy') && all;
  });
  expect(replicas.length).toBe(REPLICAS);
  expect(replicas.find(({ Id }) => Id === killed.Id)?.RestartCount).toBeGreaterThan(0);

  expect(await sql('SELECT count(*) FROM roster.applied')).toBe('1');
  const records = `SELECT finished_at IS NOT NULL, rolled_back_at IS NOT NULL FROM roster._prisma_migrations
    WHERE migration_name = '${SLOW}' ORDER BY started_at`;
  expect(await sql(records)).toBe('f|t\nt|f'); // the killed one's, and the one that counts
  const logs = await stack.compose('logs', '--no-color', 'roster-api');
  expect(logs.stdout.match(new RegExp(`applied .*${SLOW}`, 'g'))).toHaveLength(1);
});
