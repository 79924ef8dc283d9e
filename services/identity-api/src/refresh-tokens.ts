import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from '@keelson/logger';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { hashSecret } from './passwords.ts';

/** After this, a person signs in again. */
const DAYS = 30;

type Session = { userId: string; scopes: string[]; family: string; expiresAt: Date };

/**
 * Signs in, and clears away what has expired of all sessions.
 * @returns a token that is good once. Its successors expire when it does.
 */
export async function beginSession(db: Database, user: { userId: string; scopes: string[] }): Promise<string> {
  const now = Date.now();
  await db.refreshToken.deleteMany({ where: { expiresAt: { lt: new Date(now) } } });
  return addRefreshToken(db, { ...user, family: randomUUID(), expiresAt: new Date(now + DAYS * 86_400_000) });
}

/**
 * Uses a token up, for its successor. One that was used already ends its family (RFC 9700, 4.14.2): either it or its
 * successor is in the wrong hands, and nobody can say which. Both is one step, so that no successor comes after the end.
 * @returns undefined where the token is good for nothing
 */
export const renewRefreshToken = (db: Database, token: string, log: Logger) =>
  db.$transaction(async (tx) => {
    const hash = hashSecret(token);
    const now = new Date();
    const [used] = await tx.refreshToken.updateManyAndReturn({
      where: { hash, usedAt: null, expiresAt: { gt: now } },
      data: { usedAt: now },
    });
    if (used) return { ...used, successor: await addRefreshToken(tx, used) };
    const again = await tx.refreshToken.findUnique({ where: { hash } });
    if (again?.usedAt) {
      log.warn({ user: again.userId, family: again.family }, 'a refresh token came twice: its session is ended');
      await endFamily(tx, again.family);
    }
    return undefined;
  });

/** Signs out: none of the tokens that descend from the same signing in is good any more. */
export async function endSession(db: Database, token: string): Promise<void> {
  const found = await db.refreshToken.findUnique({ where: { hash: hashSecret(token) } });
  if (found) await endFamily(db, found.family);
}

async function addRefreshToken(db: Prisma.TransactionClient, { userId, scopes, family, expiresAt }: Session) {
  const token = randomBytes(32).toString('base64url');
  await db.refreshToken.create({ data: { hash: hashSecret(token), family, userId, scopes, expiresAt } });
  return token;
}

const endFamily = (db: Prisma.TransactionClient, family: string) => db.refreshToken.deleteMany({ where: { family } });
