import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { nativeEndToEnd } from './native.ts';
import { run, type Command } from './process.ts';
import type { Outcome } from './report.ts';

export type Context = {
  root: string;
  env: Record<string, string | undefined>;
  say: (line: string) => void;
  signal: AbortSignal;
};

export type Suite = {
  title: string;
  about: string;
  /** Takes minutes: it runs when it is asked for by name. */
  isLong?: boolean;
  run: (context: Context) => Promise<Outcome>;
};

/** In the order in which they run: the quick ones first. */
export const suites: Record<string, Suite> = {
  lint: {
    title: 'lint',
    about: 'ESLint and Prettier',
    run: async (context) => {
      const projects = await succeeds(nx('lint', context), context);
      return projects.state === 'passed' ? succeeds(lintOutsideProjects(context), context) : projects;
    },
  },
  static: {
    title: 'static',
    about: 'migrations, Dockerfiles, Compose files, shell scripts, secrets, packages and their licences',
    run: (context) => succeeds(node(context, 'tools/static-checks/src/main.ts'), context),
  },
  types: {
    title: 'types',
    about: 'the TypeScript compiler, strict',
    run: (context) => succeeds(nx('typecheck', context), context),
  },
  unit: {
    title: 'unit and integration',
    about: 'the tests beside the code, on a real Postgres',
    run: (context) => succeeds(nx('test', context), context),
  },
  native: {
    title: 'native end-to-end',
    about: 'the end-to-end suite on a stack without Docker',
    run: (context) =>
      nativeEndToEnd({
        ...context,
        stack: node(context, 'tools/native/src/main.ts'),
        suite: vitest('tools/e2e', context),
      }),
  },
  generated: {
    title: 'generated services',
    about: 'services from the templates in a clone: their own tests, their routes without Docker, and no trace of them',
    run: (context) => succeeds(vitest('tools/e2e/generated', context), context),
  },
  containers: {
    title: 'containers',
    about: 'the Compose stack, where a Docker engine answers',
    run: (context) => withEngine('tools/e2e/compose', context),
  },
  production: {
    title: 'production',
    about: 'releases, deploys and backups of a whole production stack, where a Docker engine answers',
    isLong: true,
    run: (context) => withEngine('tools/e2e/production', context),
  },
  security: {
    title: 'security',
    about: 'what a production stack that runs lets nobody do, where a Docker engine answers',
    isLong: true,
    run: (context) => withEngine('tools/e2e/security', context),
  },
};

const node = ({ root, env }: Context, file: string, ...args: string[]): Command => ({
  command: process.execPath,
  args: [join(root, file), ...args],
  cwd: root,
  env,
});

const nx = (target: string, context: Context) =>
  node(context, 'node_modules/nx/dist/bin/nx.js', 'run-many', '-t', target, '--outputStyle=static');

/** What belongs to no project: the toolchain, the console page, and the files beside package.json. */
const lintOutsideProjects = (context: Context) => ({
  command: 'sh',
  args: ['-c', 'eslint tools/toolchain proxy/console eslint.config.mjs && prettier --check --log-level warn .'],
  cwd: context.root,
  env: context.env,
});

const vitest = (folder: string, context: Context) =>
  node(context, 'node_modules/vitest/vitest.mjs', 'run', '--root', folder);

async function withEngine(folder: string, context: Context): Promise<Outcome> {
  const reason = withoutEngine(context);
  return reason ? { state: 'skipped', reason } : succeeds(vitest(folder, context), context);
}

async function succeeds(command: Command, { signal }: Context): Promise<Outcome> {
  const code = await run(command, signal);
  return code === 0 ? { state: 'passed' } : { state: 'failed', reason: `ended with ${code}: see above` };
}

/** Why suites of containers cannot run; undefined where they can. */
function withoutEngine({ root, env }: Context): string | undefined {
  for (const args of [['info'], ['compose', 'version']]) {
    const { error, status, stderr } = spawnSync('docker', args, { cwd: root, env, encoding: 'utf8', timeout: 30_000 });
    if (error && 'code' in error && error.code === 'ENOENT')
      return 'no Docker engine answers: there is no docker on the PATH';
    if (error) return `no Docker engine answers: ${error.message}`;
    if (status !== 0)
      return `no Docker engine answers: ${stderr.trim().split('\n').at(-1) || `docker ${args.join(' ')} failed`}`;
  }
  return undefined;
}
