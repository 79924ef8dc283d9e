import { exec } from 'node:child_process';
import { promisify } from 'node:util';

/** Renewed long before it expires, and again soon where that fails: what gives tokens may be being replaced. */
const EVERY_MS = 90_000;
const AGAIN_MS = 3000;

export type Tokens = { headers: () => Record<string, string>; close: () => void };

/** Access tokens that a shell command prints; none without one. @throws Error where there is no first one */
export async function tokensFrom(command: string | undefined): Promise<Tokens> {
  if (!command) return { headers: () => ({}), close: () => undefined };
  const print = async () => (await promisify(exec)(command)).stdout.trim();
  let token = await print();
  let timer: NodeJS.Timeout;
  const renew = async () => {
    const next = await print().catch(() => undefined);
    token = next ?? token;
    schedule(next ? EVERY_MS : AGAIN_MS);
  };
  const schedule = (ms: number) => (timer = setTimeout(() => void renew(), ms).unref());
  schedule(EVERY_MS);
  return { headers: () => ({ Authorization: `Bearer ${token}` }), close: () => clearTimeout(timer) };
}
