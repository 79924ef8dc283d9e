/** Postgres error codes (manual, appendix A) that say: not now. A leading two characters stand for a class. */
const UNAVAILABLE = new Set([
  '57P01',
  '57P02',
  '57P03',
  '57014',
  '53300',
  '55P03',
  '40001',
  '40P01',
  '25P03',
  '08',
  '28',
]);
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
/** Prisma: cannot reach, timed out, connection closed, no connection from the pool, conflicting transactions, transaction lost. */
const PRISMA = new Set(['P1000', 'P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2034', 'P2037']);
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
  [error['code'], error['originalCode']].filter((code) => typeof code === 'string');

/** Whether the database could not be asked, or could not answer now: trying again later may work. */
export function isUnavailable(error: unknown): boolean {
  for (const at of chain(error)) {
    if (MESSAGES.test(String(at['message'] ?? ''))) return true;
    for (const code of codes(at))
      if (
        PRISMA.has(code) ||
        NETWORK.has(code) ||
        UNAVAILABLE.has(code) ||
        (code.length === 5 && UNAVAILABLE.has(code.slice(0, 2)))
      )
        return true;
  }
  return false;
}

/** Whether a row like this one is there already (unique_violation). */
export function isDuplicate(error: unknown): boolean {
  for (const at of chain(error)) if (codes(at).some((code) => code === '23505' || code === 'P2002')) return true;
  return false;
}
