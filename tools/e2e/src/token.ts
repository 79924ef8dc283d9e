import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../../..');
/** It is good for five minutes. */
const RENEWED_AFTER_MS = 200_000;

/** An access token of the stack's first administrator, that a shell command prints: scripts/token. */
export function tokensFrom(command: string, env: NodeJS.ProcessEnv = process.env, cwd = root) {
  let kept: { at: number; token: Promise<string> } | undefined;
  return () => {
    if (!kept || Date.now() - kept.at > RENEWED_AFTER_MS) {
      const ran = promisify(execFile)('sh', ['-c', command], { cwd, env });
      kept = { at: Date.now(), token: ran.then(({ stdout }) => stdout.trim()) };
      kept.token.catch(() => (kept = undefined));
    }
    return kept.token;
  };
}
