import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';

/** The one that identity-api signs with; services are told by AUTH_ALGORITHM. RFC 8037, Ed25519. */
export const ALGORITHM = 'EdDSA';
export const ACCESS_TOKEN_SECONDS = 300;
/** Whoever verifies looks for new keys once a minute, so after this everybody knows the next one. */
const KNOWN_AFTER_MS = 65_000;
/** The last token that a key has signed expires, and some time for the clocks. */
const PUBLISHED_AFTER_MS = (ACCESS_TOKEN_SECONDS + 60) * 1000;
const SIGNING = { signsFrom: { not: null }, signsUntil: null };
const IV_BYTES = 12;
const TAG_BYTES = 16;

type Transaction = Prisma.TransactionClient;

/** A first key to sign with, and the one that comes after it. Replicas that start at once make them once. */
export async function ensureSigningKeys(db: Database, secret: string): Promise<void> {
  if ((await db.signingKey.count()) > 0) return;
  await oneAtATime(db, async (tx) => {
    if ((await tx.signingKey.count()) === 0) await addKeys(tx, secret);
  });
}

/**
 * The next key signs from now on, and another one is published to come after it.
 * @param compromised all keys are withdrawn at once, and every token of theirs: where the one was found, the next one was
 * @returns the id of the key that signs now
 * @throws Error where services may not know the next key yet
 */
export const rotateSigningKeys = (db: Database, secret: string, { compromised }: { compromised: boolean }) =>
  oneAtATime(db, async (tx) => {
    if (compromised) {
      await tx.signingKey.deleteMany();
      return addKeys(tx, secret);
    }
    const now = new Date();
    const next = await tx.signingKey.findFirstOrThrow({ where: { signsFrom: null } });
    const wait = next.createdAt.getTime() + KNOWN_AFTER_MS - now.getTime();
    if (wait > 0)
      throw new Error(
        `Services may not know the next key yet: rotate again in ${Math.ceil(wait / 1000)} s, or with --compromised.`,
      );
    await tx.signingKey.updateMany({ where: SIGNING, data: { signsUntil: now } });
    await tx.signingKey.update({ where: { id: next.id }, data: { signsFrom: now } });
    await tx.signingKey.deleteMany({ where: { signsUntil: { lt: new Date(now.getTime() - PUBLISHED_AFTER_MS) } } });
    await addKey(tx, secret, null);
    return next.id;
  });

export async function signingKeyId(db: Database): Promise<string | undefined> {
  const row = await db.signingKey.findFirst({ where: SIGNING, select: { id: true } });
  return row?.id;
}

/** @throws Error with a sentence, where the secret is not the one that the keys were made with */
export async function signingKey(db: Database, secret: string) {
  const row = await db.signingKey.findFirstOrThrow({ where: SIGNING });
  return { id: row.id, key: await importJWK(decrypt(Buffer.from(row.privateKey), secret), ALGORITHM) };
}

/** The public keys of all tokens that may still be good, and of those to come (RFC 7517, 5). */
export async function publicKeys(db: Database): Promise<JWK[]> {
  const since = new Date(Date.now() - PUBLISHED_AFTER_MS);
  const rows = await db.signingKey.findMany({
    where: { OR: [{ signsUntil: null }, { signsUntil: { gte: since } }] },
    orderBy: { createdAt: 'asc' },
  });
  return rows.map((row) => row.publicKey as JWK);
}

/** One that signs, and the one that comes after it. @returns the id of the first */
async function addKeys(tx: Transaction, secret: string) {
  const id = await addKey(tx, secret, new Date());
  await addKey(tx, secret, null);
  return id;
}

async function addKey(tx: Transaction, secret: string, signsFrom: Date | null) {
  const pair = await generateKeyPair(ALGORITHM, { extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const id = await calculateJwkThumbprint(publicJwk);
  const publicKey = { ...publicJwk, kid: id, alg: ALGORITHM, use: 'sig' } as Prisma.InputJsonObject;
  const privateKey = encrypt(await exportJWK(pair.privateKey), secret);
  await tx.signingKey.create({ data: { id, publicKey, privateKey, signsFrom } });
  return id;
}

const oneAtATime = <T>(db: Database, act: (tx: Transaction) => Promise<T>) =>
  db.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('signing keys'))`;
    return act(tx);
  });

function encrypt(jwk: JWK, secret: string) {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret), iv);
  const text = Buffer.concat([cipher.update(JSON.stringify(jwk)), cipher.final()]);
  return Uint8Array.from(Buffer.concat([iv, cipher.getAuthTag(), text]));
}

function decrypt(bytes: Buffer, secret: string): JWK {
  const decipher = createDecipheriv('aes-256-gcm', keyOf(secret), bytes.subarray(0, IV_BYTES));
  decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  const text = decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES));
  try {
    return JSON.parse(Buffer.concat([text, decipher.final()]).toString()) as JWK;
  } catch (error) {
    throw new Error(
      'SIGNING_KEYS_SECRET is not the one that the signing keys in the database were made with: set that one, or make new keys by scripts/keys rotate --compromised.',
      { cause: error },
    );
  }
}

const keyOf = (secret: string) => Buffer.from(hkdfSync('sha256', secret, '', 'signing keys', 32));
