import { Problem } from '@keelson/http';
import { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { hashSecret } from './passwords.ts';

/** So many mistakes cost nothing. Each further one doubles the pause, up to a quarter of an hour. */
const FREE = 5;
const LONGEST_PAUSE_S = 900;
/** Mistakes are forgotten so long after the last. */
const FORGOTTEN_AFTER_S = 3600;

const accountOf = (email: string) => hashSecret(email);

/**
 * Counts an attempt to sign in as a mistake until `forgetAttempts` says that it was none, so that any number of them at
 * once are no way around the pause. @throws Problem 429 while the account has one
 */
export async function countAttempt(db: Database, email: string): Promise<void> {
  const account = accountOf(email);
  await db.$executeRaw`
    DELETE FROM "SignInAttempts" WHERE "pausedUntil" < now() - make_interval(secs => ${FORGOTTEN_AFTER_S})`;
  const counted = await db.$queryRaw<unknown[]>(Prisma.sql`
    INSERT INTO "SignInAttempts" AS a (account, failures, "pausedUntil") VALUES (${account}, 1, date_trunc('milliseconds', now()))
    ON CONFLICT (account) DO UPDATE SET failures = a.failures + 1,
      "pausedUntil" = date_trunc('milliseconds', now()) + make_interval(secs =>
        CASE WHEN a.failures >= ${FREE} THEN LEAST(${LONGEST_PAUSE_S}, 2 ^ LEAST(a.failures + 1 - ${FREE}, 20)) ELSE 0 END)
    WHERE a."pausedUntil" <= clock_timestamp()
    RETURNING failures`);
  if (counted.length > 0) return;
  const paused = await db.signInAttempts.findUnique({ where: { account } });
  const seconds = Math.max(1, Math.ceil(((paused?.pausedUntil.getTime() ?? 0) - Date.now()) / 1000));
  const detail = `There were too many attempts to sign in to this account: the next one may come in ${seconds} s.`;
  throw new Problem(429, detail, { headers: { 'Retry-After': String(seconds) } });
}

/** Whoever has signed in has made no mistake. */
export async function forgetAttempts(db: Database, email: string): Promise<void> {
  await db.signInAttempts.deleteMany({ where: { account: accountOf(email) } });
}
