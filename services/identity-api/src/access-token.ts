import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Database } from './database.ts';
import { ACCESS_TOKEN_SECONDS, ALGORITHM, signingKey } from './signing-keys.ts';

export type Issuer = { db: Database; secret: string; issuer: string; audience: string };

/** A signed access token (RFC 9068). */
export async function issueAccessToken(
  { db, secret, issuer, audience }: Issuer,
  { subject, client, scopes }: { subject: string; client?: string; scopes: string[] },
): Promise<string> {
  const { id, key } = await signingKey(db, secret);
  return new SignJWT({ scope: scopes.join(' '), ...(client ? { client_id: client } : {}) })
    .setProtectedHeader({ alg: ALGORITHM, kid: id, typ: 'at+jwt' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime(`${ACCESS_TOKEN_SECONDS} seconds`)
    .sign(key);
}
