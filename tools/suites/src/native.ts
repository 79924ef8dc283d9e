import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type Command } from './process.ts';
import type { Outcome } from './report.ts';
import { freePort, isTaken, startStack, type Stack } from './stack.ts';

const UP_MS = 180_000;
const STOP_MS = 20_000;
const REFUSE_MS = 60_000;

export type NativeOptions = {
  /** Starts a native stack, which PORT and DATA_DIR place. */
  stack: Command;
  /** Runs the end-to-end suite against the stack at BASE_URL. */
  suite: Command;
  say: (line: string) => void;
  signal: AbortSignal;
};

/** The end-to-end suite on a native stack of its own; and that such a stack starts, refuses a second one, and stops. */
export async function nativeEndToEnd({ stack, suite, say, signal }: NativeOptions): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-e2e-'));
  chmodSync(folder, 0o755); // Postgres may run as another user
  const port = await freePort();
  const placed = (name: string): Command => ({
    ...stack,
    env: { LOG_LEVEL: 'warn', ...stack.env, PORT: String(port), DATA_DIR: join(folder, name), WATCH: '0' },
  });
  const first = startStack(placed('data'));
  const target = { BASE_URL: `http://localhost:${port}`, TOKEN_COMMAND: 'scripts/token --native' };
  const faults: string[] = [];
  const attempt = async (step: () => Promise<string | undefined>) => {
    signal.throwIfAborted();
    const fault = await step().catch((error: Error) => error.message);
    signal.throwIfAborted();
    if (fault) say(fault);
    if (fault) faults.push(fault);
    return !fault;
  };
  // A stack that is still starting hears of an interruption too.
  const interrupt = () => void first.kill();
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    const started = await attempt(async () => void say((await first.up(UP_MS)).trim()));
    if (started) {
      await attempt(() =>
        passes({ ...suite, env: { ...suite.env, DATA_DIR: join(folder, 'data'), ...target } }, signal),
      );
      await attempt(() => refuses(placed('second'), port, say));
      await attempt(() => stops(first, port, say));
    }
  } finally {
    signal.removeEventListener('abort', interrupt);
    await first.kill();
    rmSync(folder, { recursive: true, force: true });
  }
  if (faults.length === 0) return { state: 'passed' };
  say(`The stack's own output follows.\n${first.output()}`);
  return { state: 'failed', reason: faults.join('; ') };
}

async function passes(suite: Command, signal: AbortSignal) {
  const code = await run(suite, signal);
  return code === 0 ? undefined : 'The end-to-end suite failed';
}

async function refuses(second: Command, port: number, say: (line: string) => void) {
  const refused = startStack(second);
  try {
    await refused.up(REFUSE_MS).catch(() => undefined);
    const { code } = await refused.stop(STOP_MS);
    const said = refused.output().trim();
    if (code !== 1) return `A second stack on port ${port} ended with ${code} instead of 1, saying: ${said}`;
    if (!said.includes(String(port)) || /^ {4}at /m.test(said))
      return `A second stack on port ${port} did not say in a sentence that the port is taken, but: ${said}`;
    say(`A second stack is refused: ${said.split('\n').at(-1)}`);
    return undefined;
  } finally {
    await refused.kill();
  }
}

async function stops(stack: Stack, port: number, say: (line: string) => void) {
  const asked = Date.now();
  const { code, left } = await stack.stop(STOP_MS);
  const seconds = ((Date.now() - asked) / 1000).toFixed(1);
  if (code !== 0) return `The stack ended with ${code} instead of 0 on SIGTERM`;
  if (left.length > 0)
    return `The stack left behind ${left.map(({ pid, command }) => `${pid} (${command})`).join(', ')}`;
  if (await isTaken(port)) return `Something still listens on port ${port} after the stack has stopped`;
  say(`The stack stopped on SIGTERM in ${seconds} s and left nothing behind.`);
  return undefined;
}
