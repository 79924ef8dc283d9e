import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { InvalidToken, KeysUnavailable } from './principal.ts';
import { createVerifier, type Verifier } from './verifier.ts';

const ISSUER = 'https://issuer.test';
const first = await key('first');
const second = await key('second');

async function key(kid: string, alg = 'EdDSA') {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, publicKey, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } };
}

let published: JWK[];
let answers: boolean;
let isSilent: boolean;
let asked: number;
let server: Server;
let verifier: Verifier;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval'] });
  [published, answers, isSilent, asked] = [[first.jwk], true, false, 0];
  server = createServer((_req, res) => {
    asked++;
    if (isSilent) return;
    res.writeHead(answers ? 200 : 503, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ keys: published }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const AUTH_JWKS_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  const settings = { AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: 'keelson', AUTH_ALGORITHM: 'EdDSA' as const, AUTH_JWKS_URL };
  verifier = createVerifier(settings, { warn: () => undefined });
});
afterEach(() => {
  vi.useRealTimers();
  server.close();
  server.closeAllConnections();
});

type Changes = { by?: typeof first; header?: object; claims?: Record<string, unknown>; without?: string };

function token({ by = first, header = {}, claims = {}, without = '' }: Changes = {}) {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: ISSUER, aud: 'keelson', sub: 'ada', exp: now + 60, scope: 'workers:read exports:read', ...claims };
  const payload = Object.fromEntries(Object.entries(all).filter(([name]) => name !== without));
  return new SignJWT(payload).setProtectedHeader({ alg: by.alg, kid: by.kid, ...header }).sign(by.privateKey);
}
const verify = async (given: string | Promise<string>) => verifier.verify(await given);

test('tells in whose name a good token comes, and what it may do', async () => {
  expect(await verify(token())).toEqual({ subject: 'ada', scopes: ['workers:read', 'exports:read'] });
  expect(await verify(token({ without: 'scope' }))).toEqual({ subject: 'ada', scopes: [] });
  expect(asked).toBe(1);
});

describe('refuses a token', () => {
  const past = Math.floor(Date.now() / 1000) - 60;
  test.each<[string, Changes]>([
    ['of another issuer', { claims: { iss: 'https://other.test' } }],
    ['of no issuer', { without: 'iss' }],
    ['for another audience', { claims: { aud: 'other' } }],
    ['for no audience', { without: 'aud' }],
    ['that has expired', { claims: { exp: past } }],
    ['that never expires', { without: 'exp' }],
    ['that is not good yet', { claims: { nbf: Math.floor(Date.now() / 1000) + 60 } }],
    ['of nobody', { without: 'sub' }],
    ['of an unknown key', { by: second }],
    ['of another key under the name of a known one', { by: { ...second, kid: 'first' } }],
  ])('%s', async (_, changes) => {
    await verify(token());
    await expect(verify(token(changes))).rejects.toThrow(InvalidToken);
  });

  test('that is not signed', async () => {
    const claims = { iss: ISSUER, aud: 'keelson', sub: 'ada', exp: Math.floor(Date.now() / 1000) + 60 };
    await expect(verify(new UnsecuredJWT(claims).encode())).rejects.toThrow(InvalidToken);
  });

  test('that is signed with the public key for a shared secret', async () => {
    const secret = Buffer.from(await exportSPKI(first.publicKey));
    const claims = { iss: ISSUER, aud: 'keelson', sub: 'ada', exp: Math.floor(Date.now() / 1000) + 60 };
    const confused = new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'first' }).sign(secret);
    await expect(verify(confused)).rejects.toThrow(InvalidToken);
  });

  test('of another algorithm than the one that is expected, even with a key that is published', async () => {
    const other = await key('other', 'ES256');
    published = [first.jwk, other.jwk];
    await expect(verify(token({ by: other }))).rejects.toThrow(InvalidToken);
  });

  test.each(['', 'a', 'a.b.c', 'e30.e30.e30'])('that is none: %s', async (text) => {
    await expect(verify(text)).rejects.toThrow(InvalidToken);
  });
});

describe('keys', () => {
  test('a new one is found when its first token comes', async () => {
    await verify(token());
    published = [first.jwk, second.jwk];
    vi.advanceTimersByTime(2000);
    expect(await verify(token({ by: second }))).toMatchObject({ subject: 'ada' });
    expect(asked).toBe(2);
  });

  test('are kept while the issuer is away', async () => {
    await verify(token());
    answers = false;
    vi.advanceTimersByTime(300_000);
    expect(await verify(token())).toMatchObject({ subject: 'ada' });
    await vi.waitFor(() => expect(asked).toBeGreaterThan(1), { timeout: 5000 });
    expect(await verify(token())).toMatchObject({ subject: 'ada' });
  });

  test('one that is withdrawn is not trusted for long, also where no token came meanwhile', async () => {
    await verify(token());
    published = [second.jwk];
    vi.advanceTimersByTime(61_000);
    await vi.waitFor(() => expect(asked).toBe(2), { timeout: 5000 });
    await expect(verify(token())).rejects.toThrow(InvalidToken);
  });

  test('that were never here are no reason to call a token bad', async () => {
    answers = false;
    await expect(verify(token())).rejects.toThrow(KeysUnavailable);
    answers = true;
    vi.advanceTimersByTime(2000);
    expect(await verify(token())).toMatchObject({ subject: 'ada' });
  });

  test('that do not come in time are said to', async () => {
    isSilent = true;
    await expect(verify(token())).rejects.toThrow(/^The keys of the issuer cannot be fetched: .*(timed out|timeout)/);
  });

  test('are asked for again where a replica of the issuer has just gone', async () => {
    answers = false;
    setTimeout(() => (answers = true), 100);
    expect(await verify(token())).toMatchObject({ subject: 'ada' });
  });
});
