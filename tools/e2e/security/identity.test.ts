import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { succeeded } from '../compose/compose-stack.ts';
import { until } from '../compose/until.ts';
import { json, knock } from '../src/api.ts';
import { newWorker } from '../src/roster.ts';
import { stack, unnoticed } from './deployed.ts';

// Who gets in: by the tokens of the production stack's own identity-api, with forged ones, and while it is away.

const WORKERS = '/api/v1/workers';
/** Longer than services keep keys without asking for them again. By hand, nearly as long as a token is good: 290. */
const AWAY_SECONDS = Number(process.env['IDENTITY_AWAY_SECONDS'] ?? 65);

const bearer = (token: string, headers = {}) => ({ headers: { ...headers, authorization: `Bearer ${token}` } });
const ask = (token: string, headers = {}) => knock('GET', `${WORKERS}?limit=1`, bearer(token, headers));

/** A token as scripts/token prints it, with another environment of what prints it. */
async function token(scope = '*', environment: Record<string, string> = {}) {
  const set = Object.entries(environment).map(([name, value]) => `--env=${name}=${value}`);
  const program = ['identity-api', 'node', 'token.mjs', `--scope=${scope}`];
  return succeeded(await stack.compose('exec', '-T', ...set, ...program));
}

type Part = Record<string, unknown>;
const encode = (part: Part) => Buffer.from(JSON.stringify(part)).toString('base64url');
const decode = (part: string): Part => JSON.parse(Buffer.from(part, 'base64url').toString());

/** A good token whose header is another, signed by `by`. */
async function forged(header: Part, by: (text: string) => Buffer) {
  const [head, claims] = (await token()).split('.');
  const text = `${encode({ ...decode(head!), ...header })}.${claims}`;
  return `${text}.${by(Buffer.from(text).toString()).toString('base64url')}`;
}

const jwks = async () => json<{ keys: { kid: string; x: string }[] }>(await knock('GET', '/api/v1/jwks.json')).keys;

describe('is 401', () => {
  const other = generateKeyPairSync('ed25519').privateKey;

  test.for<[string, () => Promise<string>]>([
    ['a token that is not signed', () => forged({ alg: 'none' }, () => Buffer.alloc(0))],
    [
      'one signed with the public key as a shared secret',
      async () => {
        const [key] = await jwks();
        const secret = Buffer.from(key!.x, 'base64url');
        return forged({ alg: 'HS256', kid: key!.kid }, (text) => createHmac('sha256', secret).update(text).digest());
      },
    ],
    ['one signed with a key of somebody else', () => forged({}, (text) => sign(null, Buffer.from(text), other))],
    ['one of a key that nobody knows', () => forged({ kid: 'x' }, (text) => sign(null, Buffer.from(text), other))],
    [
      'one that names where its own key is',
      () => forged({ jku: 'http://127.0.0.1/', kid: 'x' }, (text) => sign(null, Buffer.from(text), other)),
    ],
    ['one of another issuer', () => token('*', { AUTH_ISSUER: 'https://other.test' })],
    ['one for another audience', () => token('*', { AUTH_AUDIENCE: 'other' })],
    [
      'one that has expired',
      () => {
        const earlier = `const D=Date;globalThis.Date=class extends D{constructor(...a){super(...(a.length?a:[D.now()-6e5]))}}`;
        return token('*', { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(earlier)}` });
      },
    ],
    [
      'one whose claims were changed',
      async () => {
        const [head, claims, signature] = (await token('exports:read')).split('.');
        return `${head}.${encode({ ...decode(claims!), scope: '*' })}.${signature}`;
      },
    ],
  ])('%s', async ([, make]) => {
    const { status, headers } = await ask(await make());
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer error="invalid_token"']);
  });
});

test('what a request says of its user and of its way here counts for nothing', async () => {
  const claimed = {
    'x-user-id': 'admin',
    'x-user-scopes': '*',
    'x-forwarded-user': 'admin',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'identity-api',
    'x-original-url': '/healthz',
  };
  expect((await ask('', claimed)).status).toBe(401);
  const reading = await token('workers:read');
  expect((await ask(reading, claimed)).status).toBe(200);
  const writing = { ...bearer(reading, claimed), json: newWorker() };
  expect((await knock('POST', WORKERS, writing)).status).toBe(403);
  expect((await knock('PATCH', `/internal/v1/exports/${crypto.randomUUID()}`, bearer(await token()))).status).toBe(404);
});

test('another key signs, under load, and no token is refused', async () => {
  const signing = async () => decode((await token()).split('.')[0]!)['kid'];
  const older = await token();
  await unnoticed(async () => {
    const before = await signing();
    // The next key has to be known everywhere before it signs: a stack that is new makes one wait.
    await until('the rotation', 90, async () => (await stack.run('scripts/keys', 'rotate')).status === 0);
    expect(await signing()).not.toBe(before);
    expect((await ask(await token())).status).toBe(200);
    expect((await ask(older)).status).toBe(200);
  });
});

test(`identity-api is away for ${AWAY_SECONDS} s: tokens stay good, and nobody gets a new one`, async () => {
  const good = await token();
  expect((await ask(good)).status).toBe(200);
  succeeded(await stack.compose('stop', 'identity-api'));
  try {
    for (const end = Date.now() + AWAY_SECONDS * 1000; Date.now() < end; await delay(1000))
      expect((await ask(good)).status).toBe(200);
    const signIn = { ...bearer(good), json: { email: 'admin@example.com', password: 'wrong' } };
    expect((await knock('POST', '/api/v1/sessions', signIn)).status).toBeGreaterThanOrEqual(502);
    expect((await ask(`${good}x`)).status).toBe(401);
  } finally {
    succeeded(await stack.compose('start', 'identity-api'));
  }
  await until('identity-api', 60, async () => (await knock('GET', '/api/v1/jwks.json')).status === 200);
});
