import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from '@keelson/logger';
import type { Prisma, User } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { hashSecret } from './passwords.ts';

/** After this, a person signs in again. */
const DAYS = 30;
/** A person who begins more ends the oldest: a script that signs in and never out fills no table. */
const SESSIONS_OF_A_USER = 100;
/** The session, and a secret that is good once. */
const TOKEN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})$/;

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
    await makeRoom(tx, user.id);
    const family = randomUUID();
    const { token, hash } = newToken(family);
    const expiresAt = new Date(now + DAYS * 86_400_000);
    await tx.refreshToken.create({ data: { hash, family, userId: user.id, scopes, expiresAt } });
    return token;
  });

/**
 * Puts a successor in the place of a token. One that comes when it has a successor ends the session (RFC 9700, 4.14.2):
 * either it or its successor is in the wrong hands, and nobody can say which. Both is one step, so that no successor comes
 * after the end.
 * @returns undefined where the token is good for nothing
 */
export const renewRefreshToken = (db: Database, token: string, log: Logger) =>
  db.$transaction(async (tx) => {
    const [, family, secret] = TOKEN.exec(token) ?? [];
    if (!family || !secret) return undefined;
    const before = await tx.refreshToken.findFirst({ where: { family }, include: { user: true } });
    if (!before || !(await holdUser(tx, before.user))) return undefined;
    const [hash, successor] = [hashSecret(secret), newToken(family)];
    const [renewed] = await tx.refreshToken.updateManyAndReturn({
      where: { family, hash, expiresAt: { gt: new Date() } },
      data: { hash: successor.hash },
    });
    if (renewed) return { ...renewed, successor: successor.token };
    const { count } = await tx.refreshToken.deleteMany({ where: { family, hash: { not: hash } } });
    if (count) log.warn({ user: before.userId, family }, 'a refresh token came twice: its session is ended');
    return undefined;
  });

/** Signs out: no token of the session is good any more. */
export async function endSession(db: Database, token: string) {
  const [, family] = TOKEN.exec(token) ?? [];
  if (family) await db.refreshToken.deleteMany({ where: { family } });
}

/**
 * Until the end of the transaction whatever ends sessions of the user waits: it would not see a session that is being added.
 * @returns whether the user is as before; each change has ended all sessions
 */
async function holdUser(tx: Transaction, { id, updatedAt }: User): Promise<boolean> {
  await tx.$queryRaw`SELECT 1 FROM "User" WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return (await tx.user.count({ where: { id, updatedAt } })) > 0;
}

/** For one more session of the user. */
async function makeRoom(tx: Transaction, userId: string) {
  const newestFirst = { where: { userId }, orderBy: { expiresAt: 'desc' } } as const;
  const surplus = await tx.refreshToken.findFirst({ ...newestFirst, skip: SESSIONS_OF_A_USER - 1 });
  if (surplus) await tx.refreshToken.deleteMany({ where: { userId, expiresAt: { lte: surplus.expiresAt } } });
}

function newToken(family: string) {
  const secret = randomBytes(32).toString('base64url');
  return { token: `${family}.${secret}`, hash: hashSecret(secret) };
}
