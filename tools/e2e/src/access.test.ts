import type { OpenApi } from '@keelson/openapi';
import { expect, inject, test } from 'vitest';
import { json, knock } from './api.ts';
import { newWorker } from './roster.ts';
import { tokensFrom } from './token.ts';

const WORKERS = '/api/v1/workers';
/** By their own word: how one gets tokens, by which keys they are verified, and the descriptions. */
const PUBLIC = ['GET /api/v1/jwks.json', 'POST /api/v1/sessions', 'POST /api/v1/sessions/end'].concat(
  'POST /api/v1/sessions/password',
  'POST /api/v1/sessions/refresh',
  'POST /api/v1/token',
);

type Catalog = { linkset: { 'service-desc': { href: string }[] }[] };
type Described = OpenApi & { paths: Record<string, Record<string, { security: object[] }>> };

/** Of all OpenAPI documents: METHOD, path with a made-up id, and whether it is public. */
async function operations() {
  const { linkset } = json<Catalog>(await knock('GET', '/.well-known/api-catalog'));
  const addresses = linkset.flatMap((links) => links['service-desc'].map(({ href }) => href));
  const documents = await Promise.all(addresses.map(async (href) => json<Described>(await knock('GET', href))));
  return documents.flatMap(({ paths }) =>
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { security }]) => ({
        method: method.toUpperCase(),
        path: path.replaceAll(/\{\w+\}/g, crypto.randomUUID()),
        name: `${method.toUpperCase()} ${path}`,
        isPublic: security.length === 0,
      })),
    ),
  );
}

const without = (authorization = '') => ({ headers: { authorization } });

test('every operation of every OpenAPI document is 401 without a token, but for those that are public', async () => {
  const all = await operations();
  const answers = await Promise.all(
    all.map(async ({ method, path, name, isPublic }) => [
      name,
      isPublic,
      (await knock(method, path, without())).status,
    ]),
  );
  const refused = answers.filter(([, , status]) => status === 401);
  expect(refused).toEqual(answers.filter(([, isPublic]) => !isPublic).map(([name]) => [name, false, 401]));
  expect(refused.map(([name]) => name)).toEqual(
    expect.arrayContaining([`GET ${WORKERS}`, `POST ${WORKERS}`, `GET ${WORKERS}/{id}`, 'POST /api/v1/exports']),
  );
  const open = all.filter(({ isPublic, path }) => isPublic && !path.startsWith('/api/v1/openapi'));
  expect(open.map(({ name }) => name).toSorted()).toEqual(PUBLIC.toSorted());
});

test.each(['Bearer', 'Bearer a.b.c', 'Basic YWRtaW46YWRtaW4=', 'Bearer null'])(
  'the header "%s" is as good as none',
  async (authorization) => {
    expect((await knock('GET', WORKERS, without(authorization))).status).toBe(401);
  },
);

test('scripts/token --scope prints a token that may do that and nothing else', async () => {
  const reading = `Bearer ${await tokensFrom(`${inject('tokenCommand')} --scope=workers:read`)()}`;
  expect((await knock('GET', `${WORKERS}?limit=1`, without(reading))).status).toBe(200);
  const { status, headers } = await knock('POST', WORKERS, { ...without(reading), json: newWorker() });
  expect([status, headers['www-authenticate']]).toEqual([
    403,
    'Bearer error="insufficient_scope", scope="workers:write"',
  ]);
});
