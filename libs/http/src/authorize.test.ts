import { createVerifier, KeysUnavailable } from '@keelson/auth';
import { startIssuer } from '@keelson/auth/issuer';
import { createLogger } from '@keelson/logger';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, type ApiOptions } from './api.ts';
import { operation } from './operation.ts';
import { checkedApi } from './testing.ts';

const issuer = await startIssuer();
afterAll(issuer.close);
const log = createLogger({ service: 'ships-api', level: 'silent' });
const ship = { description: 'A ship', schema: z.object({ by: z.string().optional() }) };
const ships = (method: 'get' | 'post', path: string, access: 'public' | 'ships:read' | 'ships:write') =>
  operation({
    method,
    path,
    summary: 'Ships',
    access,
    ...(method === 'post' ? { body: z.object({ name: z.string() }) } : {}),
    answers: { 200: ship },
    handle: ({ req, res }) => res.json({ by: req.principal?.subject }),
  });

async function start(options: Partial<ApiOptions> = {}) {
  const app = createApi({
    service: { service: 'ships-api', version: '1', commit: 'c', build: '42' },
    log,
    operations: [
      ships('get', '/ships', 'ships:read'),
      ships('post', '/ships', 'ships:write'),
      ships('get', '/flags', 'public'),
    ],
    verify: createVerifier(issuer.settings, log).verify,
    ready: async () => undefined,
    isUnavailable: () => false,
    ...options,
  });
  return (await checkedApi(app)).call;
}
const bearer = async (scope: string) => ({ headers: { authorization: `Bearer ${await issuer.token({ scope })}` } });
const call = await start();

test('whoever has the scope gets in, and is known to the handler', async () => {
  const { status, body } = await call('GET', '/ships', await bearer('crew:read ships:read'));
  expect([status, body]).toEqual([200, { by: 'somebody' }]);
  expect((await call('GET', '/ships', await bearer('*'))).status).toBe(200);
});

test.each(['crew:read', 'ships:write', 'ships', 'ships:read:all', ''])(
  'a token with the scope "%s" is a 403',
  async (scope) => {
    const { status, headers, body } = await call('GET', '/ships', await bearer(scope));
    expect([status, body.detail]).toEqual([403, 'The access token lacks the scope ships:read.']);
    expect(headers['www-authenticate']).toBe('Bearer error="insufficient_scope", scope="ships:read"');
  },
);

test.each(['', 'Bearer', 'Bearer ', 'Basic YTpi', 'Bearer a b', 'bearer'])(
  'the header "%s" is a 401',
  async (authorization) => {
    const { status, headers, body } = await call('GET', '/ships', { headers: { authorization } });
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(body.detail).toBe('This needs an access token: send it as Authorization: Bearer TOKEN.');
  },
);

test('a token that is not good is a 401, before anything of the body is looked at', async () => {
  const headers = { authorization: 'Bearer a.b.c', 'content-type': 'text/plain' };
  const { status, headers: told } = await call('POST', '/ships', { headers, body: 'no JSON' });
  expect([status, told['www-authenticate']]).toEqual([401, 'Bearer error="invalid_token"']);
});

test('what is public asks for no token, and looks at none', async () => {
  const { status, body } = await call('GET', '/flags', { headers: { authorization: 'Bearer a.b.c' } });
  expect([status, body]).toEqual([200, {}]);
});

test('while the keys cannot be had, nobody is turned away for good', async () => {
  const verify = () => Promise.reject(new KeysUnavailable('ECONNREFUSED'));
  const { status, headers } = await (await start({ verify }))('GET', '/ships', await bearer('ships:read'));
  expect([status, headers['retry-after']]).toEqual([503, '2']);
});

test('an API that checks no tokens lets nobody in', async () => {
  const open = createApi({
    service: { service: 'ships-api', version: '1', commit: 'c', build: '42' },
    log,
    operations: [ships('get', '/ships', 'ships:read')],
    ready: async () => undefined,
    isUnavailable: () => false,
  });
  expect((await (await checkedApi(open)).call('GET', '/ships', await bearer('*'))).status).toBe(401);
});

test('the description says who may use an operation', async () => {
  const { body } = await call('GET', '/api/v1/openapi/ships-api.json');
  expect(body.paths['/ships'].get.security).toEqual([{ accessToken: ['ships:read'] }]);
  expect(body.paths['/flags'].get.security).toEqual([]);
  expect(Object.keys(body.paths['/ships'].get.responses)).toEqual(expect.arrayContaining(['401', '403']));
});
