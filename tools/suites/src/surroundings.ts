import { constants } from 'node:os';

/** What the suites' processes see: without a terminal nothing is coloured or drawn over, and nothing stays behind. */
export function environment(env: NodeJS.ProcessEnv, isTerminal = process.stdout.isTTY): NodeJS.ProcessEnv {
  const plain = isTerminal ? {} : { NO_COLOR: '1', FORCE_COLOR: '0' };
  return { ...env, ...plain, NX_TUI: 'false', NX_DAEMON: 'false' };
}

/** Aborts on Ctrl-C and its like, with the exit code that tells of it as the reason. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => controller.abort(new Interrupted(128 + constants.signals[signal])));
  return controller.signal;
}

export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('Interrupted: what was running is stopped.');
    this.exitCode = exitCode;
  }
}
