import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { signalGroup } from './run.ts';

const RELOAD_MS = 3000;
const LONGEST_PAUSE_MS = 10_000;
const HEALTHY_MS = 10_000;

export interface ServiceProcessOptions {
  main: string;
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Its author is at work: when it ends with an error, it waits for `reload`. Otherwise it starts again after a pause. */
  watched: boolean;
  line: (text: string) => void;
  /** Is told how it fares. */
  note: (text: string) => void;
  started: (pid: number) => void;
}

export interface ServiceProcess {
  reload(): void;
  stop(withinMs: number): Promise<void>;
}

/** Keeps a service running until it is stopped. */
export function keepRunning({ main, cwd, env, watched, line, note, started }: ServiceProcessOptions): ServiceProcess {
  let child: ChildProcess | undefined;
  let stopping = false;
  let reloading = false;
  let pauseMs = 250;
  let again: NodeJS.Timeout | undefined;

  function start() {
    const since = Date.now();
    const current = spawn(process.execPath, [main], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    child = current;
    for (const input of [current.stdout, current.stderr]) createInterface({ input }).on('line', line);
    if (current.pid) started(current.pid);
    current.once('error', (error) => note(`did not start: ${error.message}`));
    current.once('exit', (code, signal) => {
      child = undefined;
      if (stopping) return;
      if (reloading) {
        reloading = false;
        return start();
      }
      pauseMs = Date.now() - since > HEALTHY_MS ? 500 : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      const broken = watched && signal === null; // and not killed from outside
      const next = broken ? 'when a file changes' : `in ${pauseMs / 1000} s`;
      note(`ended with ${code ?? signal}; it starts again ${next}`);
      if (!broken) again = setTimeout(start, pauseMs);
    });
  }

  start();
  return {
    reload() {
      if (stopping || reloading) return;
      if (!child) {
        clearTimeout(again);
        return start();
      }
      reloading = true;
      note('starts again, because a file changed');
      const { pid } = child;
      child.kill('SIGTERM');
      const late = setTimeout(() => signalGroup(pid!, 'SIGKILL'), RELOAD_MS);
      child.once('exit', () => clearTimeout(late));
    },
    async stop(withinMs) {
      stopping = true;
      clearTimeout(again);
      if (!child) return;
      const { pid } = child;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const late = setTimeout(() => signalGroup(pid!, 'SIGKILL'), withinMs);
      await ended;
      clearTimeout(late);
      signalGroup(pid!, 'SIGKILL'); // what it may have started and left
    },
  };
}
