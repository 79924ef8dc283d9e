import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connection } from '@keelson/postgres';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../compose/compose-stack.ts';
import { freshClone } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';
import { serves } from './serves.ts';

// What the README tells to do, in a clone: services from the templates, their tests, their routes, and without a trace
// out again.

const APIS = { 'trial-orders-api': '/api/v1/trial-orders', 'trial-shop-api': '/api/v1/trial-items' };
const WORKER = 'trial-invoices-worker';
const SERVICES = [...Object.keys(APIS), WORKER];

const clone = freshClone();
const env: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(VITEST|NX_|npm_|NODE_ENV|BASE_URL|DATA_DIR|PORT$)/.test(name)),
);

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: clone.folder, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
const git = (...args: string[]) => run('git', '-c', 'user.name=test', '-c', 'user.email=test@example.com', ...args);

beforeAll(() => {
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message=all');
  run('npm', 'run', 'new', 'api', 'trial-orders');
  run('npm', 'run', 'new', 'api', 'trial-shop', '--', '--resource', 'trial-item');
  run('npm', 'run', 'new', 'worker', 'trial-invoices');
});
afterAll(() => clone.remove());

test('what is generated passes lint, types and its own tests, and agrees with its wiring', () => {
  const projects = [...SERVICES, 'jobs', 'generators'].map((name) => `@keelson/${name}`).join(',');
  const output = run('npm', 'run', 'nx', '--', 'run-many', '-t', 'lint,typecheck,test', '-p', projects);
  for (const name of SERVICES) expect(output).toContain(`nx run @keelson/${name}:test`);
});

test('the native stack serves it, and Postgres keeps the services apart', async () => {
  const [port] = await freePorts(1);
  const stack = spawn('npm', ['start'], {
    cwd: clone.folder,
    env: { ...env, PORT: String(port), WATCH: '0', LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [stack.stdout, stack.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const ended = once(stack, 'exit');
  try {
    const up = async () => {
      if (stack.exitCode !== null) throw new Error(`npm start ended with ${stack.exitCode}:\n${output}`);
      return output.includes('Keelson is up:');
    };
    await until('the stack is up', 180, up);
    const authorization = `Bearer ${run('scripts/token', '--native').trim()}`;
    for (const route of Object.values(APIS)) await serves(`http://localhost:${port}`, route, { authorization });
    const { databases } = JSON.parse(readFileSync(join(clone.folder, '.data/stack.json'), 'utf8'));
    await refuses(databases['trial-orders-api'], [
      'SELECT FROM roster."Worker"',
      'SELECT FROM trial_shop."TrialItem"',
      'CREATE TABLE trial ()',
      'TRUNCATE "TrialOrder"',
    ]);
    await refuses(databases['roster-api'], ['SELECT FROM trial_orders."TrialOrder"']);
    await works(databases['postgres']);
  } catch (error) {
    console.error(output);
    throw error;
  } finally {
    process.kill(-stack.pid!, 'SIGTERM');
    await ended;
  }
});

async function connected(url: string, use: (client: Client) => Promise<void>) {
  const client = new Client(connection(url));
  await client.connect();
  await use(client).finally(() => client.end());
}

const refuses = (url: string, statements: string[]) =>
  connected(url, async (client) => {
    for (const statement of statements)
      await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' }); // insufficient_privilege
  });

/** A job that is added is done by the generated worker, which writes that into its own table. */
const works = (url: string) =>
  connected(url, async (client) => {
    const id = crypto.randomUUID();
    const payload = { data: { trialInvoiceId: id }, requestId: 'trial' };
    await client.query(`SELECT graphile_worker.add_job('process-trial-invoice', $1::json)`, [payload]);
    await until('the job is done', 20, async () => {
      const { rowCount } = await client.query('SELECT FROM trial_invoices."TrialInvoice" WHERE id = $1', [id]);
      return rowCount === 1;
    });
  });

test('what is removed leaves no trace', () => {
  for (const name of SERVICES) run('npm', 'run', 'remove', name);
  expect(git('status', '--porcelain')).toBe('');
});
