import type { Logger } from '@keelson/logger';
import { Pool } from 'pg';

/**
 * A pool that gives up early: a database that is away is noticed within seconds, not when TCP does.
 * The URL's `schema` parameter, which Prisma knows, is the search path of its connections.
 */
export function createPool(url: string, { log, max = 10 }: { log: Logger; max?: number }): Pool {
  const pool = new Pool({
    ...connection(url),
    max,
    connectionTimeoutMillis: 2000,
    statement_timeout: 3000,
    query_timeout: 4000,
    idle_in_transaction_session_timeout: 10_000,
    keepAlive: true,
  });
  pool.on('error', (error) => log.warn({ reason: error.message }, 'lost a database connection'));
  // Whoever uses a connection learns of its loss from the query; without a listener the process would end.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/**
 * Of what need not give up early. Whoever does, and tries again, costs a database that is slow to answer another process and
 * another log-in, until it answers nobody any more.
 */
export const CONNECTION_TIMEOUT_MS = 10_000;

/** Connection settings for `pg` from a URL in Prisma's form; `settings` are server settings for the session. */
export function connection(url: string, settings: Record<string, string> = {}) {
  const parsed = new URL(url);
  const schema = parsed.searchParams.get('schema');
  parsed.searchParams.delete('schema');
  const all = { ...(schema ? { search_path: schema } : {}), ...settings };
  return {
    connectionString: parsed.href,
    connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
    // A pool keeps what it has opened. When everything is slow for a moment, more are wanted at once, and each that has to be
    // opened then makes it slower: a new process of Postgres, and a log-in.
    idleTimeoutMillis: 0,
    options: Object.entries(all)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  };
}

export const schemaOf = (url: string) => new URL(url).searchParams.get('schema') ?? undefined;

/** A URL with another schema, or without one. */
export function withSchema(url: string, schema: string | undefined) {
  const changed = new URL(url);
  if (schema) changed.searchParams.set('schema', schema);
  else changed.searchParams.delete('schema');
  return changed.href;
}

/** A database URL as people may see it: without its password. */
export function describe(url: string) {
  const { hostname, port, pathname, username } = new URL(url);
  return `${hostname}:${port || 5432}${pathname} as ${decodeURIComponent(username)}`;
}
