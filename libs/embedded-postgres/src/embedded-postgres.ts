import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { postgresBinaries, type Binaries } from './binaries.ts';
import { initialize, isInitialized } from './data-directory.ts';
import { clearDataDirectory, removeAbandoned, starterSetting } from './earlier-postgres.ts';
import { launchWithoutRoot, surroundings, type Launch } from './without-root.ts';

export interface PostgresOptions {
  /** The data directory, made where it is missing. Without it: a temporary one, deleted by `stop`. */
  dir?: string;
  /** Default: a free one. */
  port?: number;
  /** Data outlives a crash of the machine. Without it nothing waits for the disk: for tests. */
  durable?: boolean;
  /** Of the superuser `postgres`. A directory keeps the one it was made with. Default: random. */
  password?: string;
  /** Gets Postgres' own log, line by line. */
  log?: (line: string) => void;
}

export interface Postgres {
  /** Of the superuser, to the database `postgres`. */
  url: string;
  port: number;
  pid: number;
  /** Settles when the server has ended, whoever ended it. */
  ended: Promise<void>;
  /** Fast shutdown; after `withinMs` an immediate one, from which Postgres recovers at its next start. */
  stop(withinMs?: number): Promise<void>;
}

const TEMPORARY = 'keelson-postgres-';
const FOR_SPEED = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'shared_buffers=64MB'];

/** Starts the real Postgres that npm brought, on 127.0.0.1 only, for a password. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const { durable = false, password = randomBytes(24).toString('base64url'), log = () => {} } = options;
  const binaries = postgresBinaries();
  const temporary = options.dir === undefined ? await temporaryFolder() : undefined;
  const data = temporary ? join(temporary, 'data') : resolve(options.dir!);
  const removeTemporary = () => temporary && rmSync(temporary, { recursive: true, force: true });
  try {
    mkdirSync(dirname(data), { recursive: true });
    await clearDataDirectory(data);
    const launch = launchWithoutRoot(data, binaries.postgres, [binaries.catalog]);
    if (!isInitialized(data, binaries)) await initialize(data, { binaries, launch, durable, password });
    const server = await serve(data, { binaries, launch, durable, port: options.port, log });
    const url = `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${server.port}/postgres`;
    const stop = async (withinMs?: number) => {
      await server.stop(withinMs);
      removeTemporary();
    };
    return { ...server, url, stop };
  } catch (error) {
    removeTemporary();
    throw sentence(error, data);
  }
}

async function temporaryFolder(): Promise<string> {
  await removeAbandoned(tmpdir(), TEMPORARY);
  return mkdtempSync(join(tmpdir(), `${TEMPORARY}${process.pid}-`));
}

interface ServeOptions {
  binaries: Binaries;
  launch: Launch;
  durable: boolean;
  port: number | undefined;
  log: (line: string) => void;
}

async function serve(data: string, options: ServeOptions): Promise<Omit<Postgres, 'url'>> {
  if (options.port !== undefined) return serveOn(options.port, data, options);
  for (let attempt = 1; ; attempt++) {
    try {
      return await serveOn(await freePort(), data, options);
    } catch (error) {
      if (!(error instanceof PortTaken) || attempt === 3) throw error; // taken since it was found free
    }
  }
}

async function serveOn(port: number, data: string, { binaries, launch, durable, log }: ServeOptions) {
  const settings = ['max_connections=200', 'unix_socket_directories=', ...(durable ? [] : FOR_SPEED)];
  const args = ['-D', data, '-c', starterSetting(process.pid), '-h', '127.0.0.1', '-p', String(port)];
  args.push(...settings.flatMap((setting) => ['-c', setting]));
  const [file, allArgs, options] = launch.command(binaries.postgres, args);
  const server = spawn(file, allArgs, {
    ...options,
    ...surroundings(data),
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true, // a Ctrl-C in the terminal is for our process, which ends Postgres after those that use it
  });
  const endWithUs = () => server.kill('SIGINT');
  process.once('exit', endWithUs);
  const ended = new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.once('exit', () => {
      process.removeListener('exit', endWithUs);
      done();
    });
  });
  await new Promise<void>((ready, failed) => {
    const said: string[] = [];
    createInterface({ input: server.stderr! }).on('line', (line) => {
      log(line);
      if (said.length < 200) said.push(line);
      if (line.includes('database system is ready to accept connections')) ready();
    });
    server.once('close', () => failed(startFailure(said, port)));
    ended.catch(failed);
  });
  const stop = async (withinMs = 10_000) => {
    server.kill('SIGINT');
    const immediate = setTimeout(() => server.kill('SIGQUIT'), withinMs);
    const last = setTimeout(() => server.kill('SIGKILL'), 2 * withinMs);
    await ended;
    clearTimeout(immediate);
    clearTimeout(last);
  };
  return { port, pid: server.pid!, ended, stop };
}

class PortTaken extends Error {}

function startFailure(said: string[], port: number): Error {
  if (said.some((line) => line.includes('Address already in use')))
    return new PortTaken(`Port ${port} is taken by another program: stop it, or give Postgres another port.`);
  const reason = said.map((line) => /(?:FATAL|PANIC): +(.*)/.exec(line)?.[1]).findLast((text) => text !== undefined);
  return new Error(`Postgres did not start: ${reason ?? said.slice(-5).join('\n')}`);
}

function sentence(error: unknown, data: string): Error {
  const { code, message, syscall } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || /No space left on device|could not extend file/.test(message))
    return new Error(`The disk that holds ${data} is full: make room, then start again.`, { cause: error });
  if (code && syscall?.startsWith('spawn'))
    return new Error(`Postgres could not be started (${message}): run "npm ci".`, { cause: error });
  return error as Error;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
