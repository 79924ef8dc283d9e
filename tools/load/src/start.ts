import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { SUCCESS, type RunOptions } from './run.ts';
import type { Report } from './tally.ts';

/** A stack that is up answers far sooner. */
const PATIENCE_MS = 30_000;

export type RunningLoad = Awaited<ReturnType<typeof startLoad>>;

/**
 * The load in a process of its own, so that nothing this one does makes it late. It ends when this process does.
 * @returns once a first request has succeeded
 */
export async function startLoad({ url, connect, ca, tokenCommand, rate, ledger, atLeast, timeoutMs }: RunOptions) {
  const options = {
    url,
    connect,
    ca,
    'token-command': tokenCommand,
    rate,
    ledger,
    'at-least': atLeast,
    'timeout-ms': timeoutMs,
  };
  const args = Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), 'run', '--until-stdin-ends', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [stdout, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  const report = new Promise<Report>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      if (stdout) resolve(JSON.parse(stdout));
      else reject(new Error(`the load ended with ${status} and no report:\n${said}`));
    });
  });
  report.catch(() => undefined); // whoever stops it hears of that
  const succeeded = new Promise<boolean>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
      if (said.includes(SUCCESS)) resolve(true);
    });
    setTimeout(resolve, PATIENCE_MS, false).unref();
  });
  if (!(await Promise.race([succeeded, report]))) {
    child.kill('SIGKILL');
    throw new Error(`no request has succeeded within ${PATIENCE_MS / 1000} s:\n${said}`);
  }
  return {
    /** What it has said so far: a line every few seconds. */
    said: () => said,
    /** Ends it, when it has sent `atLeast` requests, and counts. */
    stop(): Promise<Report> {
      child.stdin.end();
      return report;
    },
  };
}
