import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { CONNECTION_TIMEOUT_MS, connection, describe } from './pool.ts';

export type Say = (line: string) => void;

/**
 * Waits until the database answers a query, since an open port does not mean that it does. Says where it waits, and for
 * what, after an attempt that failed: at most once a second.
 * @throws Error with a sentence, after `seconds`
 */
export async function waitForPostgres(url: string, { seconds, say }: { seconds: number; say: Say }) {
  const start = performance.now();
  const elapsed = () => Math.round((performance.now() - start) / 1000);
  for (let said = -1; ;) {
    const left = Math.max(1000, start + seconds * 1000 - performance.now());
    const reason = await ask(url, Math.min(left, CONNECTION_TIMEOUT_MS));
    if (!reason) return;
    if (elapsed() >= seconds)
      throw new Error(`Postgres at ${describe(url)} did not answer within ${seconds} s: ${reason}`);
    if (elapsed() > said)
      say(`waiting for Postgres at ${describe(url)}: ${reason} (${(said = elapsed())} s of ${seconds})`);
    await delay(200);
  }
}

/** Why the database does not answer a query, or lets nobody in within so long; undefined where it does. */
async function ask(url: string, connectionTimeoutMillis: number): Promise<string | undefined> {
  const client = new Client({ ...connection(url), connectionTimeoutMillis });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return undefined;
  } catch (error) {
    return reasonOf(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** An error's message; Node gives a refused connection to several addresses an empty one, and the reason beside it. */
export function reasonOf(error: unknown): string {
  const { message, code, errors } = error as { message?: string; code?: string; errors?: unknown[] };
  if (message) return message;
  return errors?.[0] ? reasonOf(errors[0]) : (code ?? String(error));
}
