import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, 'main.ts');
const children: ChildProcess[] = [];

/** exports-worker as a process of its own; `wrap` is a shell script that runs it as "$@". */
export function startExportsWorker(env: Record<string, string>, wrap = 'exec "$@"') {
  const child = spawn('sh', ['-c', wrap, 'sh', process.execPath, MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, output }));
  return {
    pid: child.pid!,
    output: () => output,
    ended,
    /** SIGTERM; how it ended, and how long that took. */
    async stop() {
      const from = performance.now();
      child.kill('SIGTERM');
      return { ...(await ended), ms: performance.now() - from };
    },
  };
}

export const killExportsWorkers = () => children.splice(0).forEach((child) => child.kill('SIGKILL'));
