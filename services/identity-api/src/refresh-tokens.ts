import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from '@keelson/logger';
import type { Prisma, User } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { hashSecret } from './passwords.ts';

/** After this, a person signs in again. */
const DAYS = 30;

type Session = { userId: string; scopes: string[]; family: string; expiresAt: Date };
type Transaction = Prisma.TransactionClient;

/**
 * Signs in, and clears away what has expired of all sessions.
 * @returns a token that is good once, and whose successors expire when it does; undefined where the user is another by now
 */
export const beginSession = (db: Database, user: User, scopes: string[]) =>
  db.$transaction(async (tx) => {
    if (!(await holdUser(tx, user))) return undefined;
    const now = Date.now();
    await tx.refreshToken.deleteMany({ where: { expiresAt: { lt: new Date(now) } } });
    const expiresAt = new Date(now + DAYS * 86_400_000);
    return addRefreshToken(tx, { userId: user.id, scopes, family: randomUUID(), expiresAt });
  });

/**
 * Uses a token up, for its successor. One that was used already ends its family (RFC 9700, 4.14.2): either it or its
 * successor is in the wrong hands, and nobody can say which. Both is one step, so that no successor comes after the end.
 * @returns undefined where the token is good for nothing
 */
export const renewRefreshToken = (db: Database, token: string, log: Logger) =>
  db.$transaction(async (tx) => {
    const known = await findHeld(tx, token);
    if (!known) return undefined;
    const { hash } = known;
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
export const endSession = (db: Database, token: string) =>
  db.$transaction(async (tx) => {
    const found = await findHeld(tx, token);
    if (found) await endFamily(tx, found.family);
  });

/** A token, as it was before its user was held; undefined where there is none, or its user is another by now. */
async function findHeld(tx: Transaction, token: string) {
  const found = await tx.refreshToken.findUnique({ where: { hash: hashSecret(token) }, include: { user: true } });
  return found && (await holdUser(tx, found.user)) ? found : undefined;
}

/**
 * Until the end of the transaction whatever ends sessions of the user waits: it would not see a token that is being added.
 * @returns whether the user is as before; each change has ended all sessions
 */
async function holdUser(tx: Transaction, { id, updatedAt }: User): Promise<boolean> {
  await tx.$queryRaw`SELECT 1 FROM "User" WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return (await tx.user.count({ where: { id, updatedAt } })) > 0;
}

async function addRefreshToken(db: Transaction, { userId, scopes, family, expiresAt }: Session) {
  const token = randomBytes(32).toString('base64url');
  await db.refreshToken.create({ data: { hash: hashSecret(token), family, userId, scopes, expiresAt } });
  return token;
}

const endFamily = (db: Transaction, family: string) => db.refreshToken.deleteMany({ where: { family } });
