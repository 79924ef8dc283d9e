import { spawn, type StdioOptions } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { family, type Running } from './family.ts';

export type Command = {
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string | undefined>;
  stdio?: StdioOptions;
};

export const GRACE_MS = 15_000;

/** A child that leads a process group of its own, so that it can be stopped with all that it started. */
export function start({ command, args, cwd, env, stdio = ['ignore', 'inherit', 'inherit'] }: Command) {
  const child = spawn(command, args, { cwd, env, stdio, detached: true });
  const ended = new Promise<string | number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal!));
  });
  ended.catch(() => undefined);
  return { child, ended };
}

/** Runs a command to its end. On an interruption it and its children are stopped first. */
export async function run(command: Command, interruption: AbortSignal): Promise<string | number> {
  interruption.throwIfAborted();
  const { child, ended } = start(command);
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped = stopFamily(child.pid!));
  interruption.addEventListener('abort', stop, { once: true });
  try {
    return await ended;
  } finally {
    interruption.removeEventListener('abort', stop);
    await stopped;
    interruption.throwIfAborted();
  }
}

/** SIGTERM for a child's group, and SIGKILL for what is still there of its family after a while. */
export async function stopFamily(pid: number, known: Running[] = [], graceMs = GRACE_MS) {
  let members = family(pid, known);
  signal(-pid, 'SIGTERM');
  for (const deadline = Date.now() + graceMs; members.length > 0; members = family(pid, members)) {
    if (Date.now() > deadline) for (const member of members) signal(member.pid, 'SIGKILL');
    await delay(50);
  }
}

function signal(pid: number, name: NodeJS.Signals) {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended by itself
  }
}
