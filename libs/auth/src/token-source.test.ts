import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createTokenSource } from './token-source.ts';

let asked: { authorization: string | undefined; body: string }[];
let status: number;
let life: { expires_in?: number };
let server: Server;
let settings: Parameters<typeof createTokenSource>[0];
let token: ReturnType<typeof createTokenSource>;
beforeEach(async () => {
  [asked, status, life] = [[], 200, { expires_in: 300 }];
  server = createServer(async (req, res) => {
    asked.push({ authorization: req.headers.authorization, body: await text(req) });
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ access_token: `token-${asked.length}`, ...life }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const AUTH_TOKEN_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  settings = { AUTH_TOKEN_URL, AUTH_CLIENT_ID: 'exports-worker', AUTH_CLIENT_SECRET: 'a:b c' };
  token = createTokenSource(settings);
});
afterEach(() => {
  vi.useRealTimers();
  server.close();
  server.closeAllConnections();
});

test('asks once for all that need a token, as RFC 6749 says', async () => {
  expect(await Promise.all([token(), token(), token()])).toEqual(['token-1', 'token-1', 'token-1']);
  const authorization = `Basic ${Buffer.from('exports-worker:a%3Ab%20c').toString('base64')}`;
  expect(asked).toEqual([{ authorization, body: 'grant_type=client_credentials' }]);
});

test('asks for a scope and an audience where it is told to', async () => {
  const more = { AUTH_TOKEN_SCOPE: 'workers:read exports:report', AUTH_TOKEN_AUDIENCE: 'https://api.test' };
  await createTokenSource({ ...settings, ...more })();
  expect(Object.fromEntries(new URLSearchParams(asked[0]!.body))).toEqual({
    grant_type: 'client_credentials',
    scope: 'workers:read exports:report',
    audience: 'https://api.test',
  });
});

test('renews a token before it expires', async () => {
  await token();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 269_000 });
  expect(await token()).toBe('token-1');
  vi.setSystemTime(Date.now() + 2000);
  expect(await Promise.all([token(), token()])).toEqual(['token-2', 'token-2']);
});

test('renews one that was refused, for all that say so', async () => {
  await token();
  expect(await Promise.all([token('token-1'), token('token-1')])).toEqual(['token-2', 'token-2']);
  expect(await token('token-1')).toBe('token-2');
});

test('keeps one that does not say how long it is good for half a minute', async () => {
  life = {};
  await token();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 29_000 });
  expect(await token()).toBe('token-1');
  vi.setSystemTime(Date.now() + 2000);
  expect(await token()).toBe('token-2');
});

test('says what is wrong, without the secret, and asks again', async () => {
  status = 401;
  await expect(token()).rejects.toThrow(/\/token gives exports-worker no token: 401$/);
  status = 200;
  expect(await token()).toBe('token-2');
});
