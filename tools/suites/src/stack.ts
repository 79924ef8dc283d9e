import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { family, type Running } from './family.ts';
import { GRACE_MS, start, stopFamily, type Command } from './process.ts';

const UP = /^.*Keelson is up:.*$/m;
const KEPT = 1_000_000;

export type Stack = {
  /** Settles when it ends, with its exit code or the signal that ended it. */
  ended: Promise<string | number>;
  /** What it said, the last of it where it was much. */
  output: () => string;
  /** Resolves to the line that says that it is up. @throws when it ends before, or takes longer */
  up: (withinMs: number) => Promise<string>;
  /** SIGTERM for its main process alone: stopping the others is its own task. */
  stop: (withinMs: number) => Promise<{ code: string | number; left: Running[] }>;
  /** Ends whatever is left of it. */
  kill: () => Promise<void>;
};

/** Starts a stack, that is a command that says "Keelson is up:" and stops on SIGTERM. */
export function startStack(command: Command): Stack {
  const { child, ended } = start({ ...command, stdio: ['ignore', 'pipe', 'pipe'] });
  const pid = child.pid!;
  let said = '';
  let members: Running[] = [];
  const hear = (chunk: string) => (said = (said + chunk).slice(-KEPT));
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', hear);
  const exited = new Promise<string | number>((resolve) =>
    child.on('exit', (code, signal) => resolve(code ?? signal!)),
  );

  return {
    ended: exited,
    output: () => said,
    async up(withinMs) {
      let code: string | number | undefined;
      void exited.then((value) => (code = value));
      await until(() => UP.test(said) || code !== undefined, withinMs, 'The stack did not say that it is up');
      if (code !== undefined) throw new Error(`The stack ended with ${code} before it was up`);
      return UP.exec(said)![0];
    },
    async stop(withinMs) {
      members = family(pid);
      child.kill('SIGTERM');
      const code = await within(exited, withinMs, 'The stack did not stop on SIGTERM');
      return { code, left: family(pid, members) };
    },
    async kill() {
      await stopFamily(pid, members, child.exitCode === null && child.signalCode === null ? GRACE_MS : 0);
      await ended;
    },
  };
}

async function until(condition: () => boolean, withinMs: number, otherwise: string) {
  const deadline = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`${otherwise} within ${withinMs / 1000} s`);
    await delay(50);
  }
}

async function within<T>(promise: Promise<T>, ms: number, otherwise: string): Promise<T> {
  let done = false;
  void promise.finally(() => (done = true));
  await until(() => done, ms, otherwise);
  return promise;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export const isTaken = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, 'localhost');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
