/**
 * Error codes of Postgres (its manual, appendix A) that say: not now. Two characters stand for a class: connections,
 * log-ins, resources, an operator who intervened. 55000 and 3D000 are a database that is closed or not there for a
 * while, 25006 is a primary that became a standby, the others are transactions and locks that another one was ahead of.
 */
const POSTGRES = new Set(['08', '28', '53', '57', '25006', '25P03', '3D000', '40001', '40P01', '55000', '55P03']);
const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** What Prisma's adapter calls some of those; P2028: no connection for a transaction, or the transaction took too long. */
const PRISMA = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'P2028']);
/** What `pg` says without a code. */
const MESSAGES =
  /timeout exceeded when trying to connect|Connection terminated|Query read timeout|Client has encountered a connection error/;

/** The errors that an error carries: its causes, however Prisma or `pg` wrap them. */
function* chain(error: unknown): Generator<Record<string, unknown>> {
  for (let at = error, depth = 0; at && typeof at === 'object' && depth < 6; depth += 1) {
    const current = at as Record<string, unknown>;
    yield current;
    const meta = current['meta'] as Record<string, unknown> | undefined;
    at = current['cause'] ?? meta?.['driverAdapterError'] ?? (current['errors'] as unknown[] | undefined)?.[0];
  }
}

const codes = (error: Record<string, unknown>) =>
  [error['code'], error['originalCode'], error['kind']].filter((code) => typeof code === 'string');

const isPassing = (code: string) =>
  POSTGRES.has(code) || (code.length === 5 && POSTGRES.has(code.slice(0, 2))) || NETWORK.has(code) || PRISMA.has(code);

/** Whether the database could not be asked, or could not answer now: trying again later may work. */
export function isUnavailable(error: unknown): boolean {
  for (const at of chain(error)) if (codes(at).some(isPassing) || MESSAGES.test(String(at['message']))) return true;
  return false;
}

/** Whether a row like this one is there already (unique_violation). */
export function isDuplicate(error: unknown): boolean {
  for (const at of chain(error)) if (codes(at).includes('23505')) return true;
  return false;
}
