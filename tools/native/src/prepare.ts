import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';
import { variableName } from './services.ts';
import type { Stack } from './stack.ts';

const SAMPLE_ROWS = 100;
/** All of Nx in one process: a daemon, or plugins in processes of their own, would outlive it. */
const NX = { NX_DAEMON: 'false', NX_ISOLATE_PLUGINS: 'false', NX_TUI: 'false' };

/** What is generated from the services' Prisma schemas; Nx knows whether it is still good. */
export async function generateCode({ root, config, output }: Stack, signal: AbortSignal): Promise<void> {
  const args = [join(root, 'node_modules/nx/dist/bin/nx.js'), 'run-many', '-t', 'generate'];
  const env = { ...config.env, ...NX };
  await output.step('generated code', () => run({ args, cwd: root, env }, signal));
}

/** Runs the jobs that provide for the services, then the services' migrations. */
export async function prepareDatabase(
  { root, config, services, output }: Stack,
  owners: Record<'postgres' | 'migrator', string>,
  urls: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const serviceVariables = Object.entries(urls).map(([name, url]) => [`${variableName(name)}_DATABASE_URL`, url]);
  for (const { name, folder } of services.filter(({ kind }) => kind === 'job')) {
    const own = { ...config.env, DATABASE_URL: owners.postgres, MIGRATOR_URL: owners.migrator };
    const env = { ...own, ...Object.fromEntries(serviceVariables) };
    await output.step(name, () => run({ args: ['src/main.ts'], cwd: folder, env }, signal));
  }
  for (const { name, folder } of services.filter(({ schema }) => schema !== undefined)) {
    const args = [join(root, 'libs/postgres/src/cli.ts'), 'migrate', '--prisma', join(folder, 'prisma')];
    const own = { DATABASE_URL: urls[name], MIGRATOR_URL: owners.migrator };
    const command = { args, cwd: root, env: { ...config.env, ...own } };
    const work = () => run(command, signal);
    await output.step(`migrations of ${name}`, work, (said) => said.trim().split('\n').at(-1));
  }
}

/** Once for each data folder, so that there is something to look at. */
export async function seedNewDatabase(
  { config, services, output }: Stack,
  urls: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const done = join(config.dataDir, 'seeded');
  if (existsSync(done)) return;
  for (const { name, folder } of services.filter((service) => existsSync(join(service.folder, 'src/seed.ts')))) {
    const args = ['src/seed.ts', '--rows', String(SAMPLE_ROWS)];
    const command = { args, cwd: folder, env: { ...config.env, DATABASE_URL: urls[name] } };
    await output.step(`the database is new: ${SAMPLE_ROWS} sample rows for ${name}`, () => run(command, signal));
  }
  writeFileSync(done, '');
}
