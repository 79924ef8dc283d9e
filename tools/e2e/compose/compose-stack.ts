import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { tokensFrom } from '../src/token.ts';
import { root } from './fresh-clone.ts';

export type Ran = {
  status: number | null;
  stdout: string;
  /** stdout and stderr, as they came. */ output: string;
  ms: number;
};

/** What is read of `docker inspect`. */
export type Container = {
  Id: string;
  Name: string;
  Image: string;
  RestartCount: number;
  State: { Status: string; ExitCode: number; OOMKilled: boolean; Health?: { Status: string } };
  Config: { User: string; Labels: Record<string, string> };
  HostConfig: {
    Init: boolean;
    CapDrop: string[];
    SecurityOpt: string[];
    ReadonlyRootfs: boolean;
    Memory: number;
    PidsLimit: number;
    NanoCpus: number;
    LogConfig: { Config: Record<string, string> };
  };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
};

/** A Compose file for the base file alone, which publishes no port. */
export const WAY_IN = 'services: { proxy: { ports: ["127.0.0.1:${PORT}:8080"] } }\n';

export type ComposeStack = ReturnType<typeof composeStack>;

/** The Compose stack of a clone, under a project name, image names and ports that are this checkout's own. */
export async function openComposeStack(folder: string, name: string, settings: Record<string, string> = {}) {
  // Containers run as this user where root runs scripts/setup.
  if (process.getuid?.() === 0) execFileSync('chown', ['--recursive', '1000:1000', folder]);
  const project = `${name}-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`;
  const [port, postgresPort, adminerPort] = await freePorts(3);
  return composeStack(folder, project, port!, {
    ...settings,
    COMPOSE_PROJECT_NAME: project,
    REGISTRY: project,
    PORT: String(port),
    POSTGRES_PORT: String(postgresPort),
    ADMINER_PORT: String(adminerPort),
  });
}

function composeStack(folder: string, project: string, port: number, settings: Record<string, string>) {
  const env = { ...withoutSettings(folder), ...settings };
  const assignments = Object.entries(settings).map(([name, value]) => `${name}='${value}'`);
  /** Prints an access token of the first administrator, in any shell. */
  const tokenCommand = `cd '${folder}' && env ${assignments.join(' ')} scripts/token`;
  const url = `http://localhost:${port}`;
  const run = (command: string, ...args: string[]) => runToEnd(command, args, folder, env);
  const docker = (...args: string[]) => run('docker', ...args);
  const compose = (...args: string[]) => docker('compose', '--profile', 'admin', ...args);

  /** Its containers, those that have ended included. */
  async function containers(service?: string): Promise<Container[]> {
    const ids = succeeded(
      await docker('ps', '--all', '--quiet', `--filter=label=com.docker.compose.project=${project}`),
    );
    if (!ids) return [];
    const found: Container[] = JSON.parse(succeeded(await docker('inspect', ...ids.split('\n'))));
    return found.filter((container) => !service || serviceOf(container) === service);
  }

  /** What the containers said, for whoever has to find out why they failed. */
  async function account(): Promise<string> {
    const states = await compose('ps', '--all');
    const logs = await compose('logs', '--no-color', '--tail=40');
    return `${states.output}\n${logs.output}`;
  }

  async function up(...args: string[]): Promise<Ran> {
    const ran = await docker('compose', 'up', '--detach', '--wait', '--wait-timeout=180', ...args);
    if (ran.status !== 0)
      throw new Error(`docker compose up ${args.join(' ')} failed:\n${ran.output}\n${await account()}`);
    return ran;
  }

  /** The end-to-end suite, as it runs against any stack. */
  const suite = () =>
    runToEnd(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', 'tools/e2e'], root, {
      ...env,
      BASE_URL: url,
      TOKEN_COMMAND: tokenCommand,
    });

  const token = tokensFrom(tokenCommand, env);
  const authorization = async () => ({ authorization: `Bearer ${await token()}` });

  async function remove() {
    await compose('down', '--volumes', '--remove-orphans', '--timeout=3');
    await removeImages(project);
  }

  /** By name: an image that also has names of others stays theirs. */
  async function removeImages(registry: string) {
    const images = succeeded(await docker('image', 'ls', '--format={{.Repository}}:{{.Tag}}', `${registry}/*`));
    if (images) await docker('image', 'rm', '--force', ...images.split('\n'));
  }

  return {
    project,
    folder,
    url,
    tokenCommand,
    authorization,
    run,
    docker,
    compose,
    up,
    containers,
    account,
    suite,
    remove,
    removeImages,
  };
}

export const serviceOf = (container: Container) => container.Config.Labels['com.docker.compose.service']!;

/** The output of a command that must not fail. */
export function succeeded({ status, stdout, output }: Ran): string {
  if (status !== 0) throw new Error(`a command ended with ${status}:\n${output}`);
  return stdout.trim();
}

function runToEnd(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Ran> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, output] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => ((stdout += text), (output += text)));
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, output, ms: performance.now() - start }));
  });
}

/** This process's environment without what a stack reads from it: the clone's .env is to count, and its own files. */
function withoutSettings(folder: string): NodeJS.ProcessEnv {
  const template = readFileSync(join(folder, '.env.template'), 'utf8');
  const settings = new Set([...template.matchAll(/^#?([A-Z0-9_]+)=/gm)].map(([, name]) => name));
  const others = /^(COMPOSE|VITEST|IMAGE|SERVICE)_|^VITEST$|^BUILD_NUMBER$|^NODE_ENV$|^BASE_URL$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !settings.has(name) && !others.test(name)));
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
