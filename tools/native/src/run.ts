import { spawn } from 'node:child_process';

export interface Command {
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
}

const GRACE_MS = 1500;

/**
 * Runs a Node program to its end and returns what it wrote. When `signal` aborts, it is stopped with all it started.
 * @throws Error with its output where it fails
 */
export async function run({ args, cwd, env }: Command, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk) => (output += chunk));
  let last: NodeJS.Timeout | undefined;
  const stop = () => {
    signalGroup(child.pid!, 'SIGTERM');
    last = setTimeout(() => signalGroup(child.pid!, 'SIGKILL'), GRACE_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status, killedBy) => resolve(status ?? killedBy));
    });
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`${output.trim()}\n${args.join(' ')} ended with ${code}.`);
    return output;
  } finally {
    signal.removeEventListener('abort', stop);
    clearTimeout(last);
  }
}

/** For a process that was started `detached`, and all it started in turn. False where nobody is left. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}
