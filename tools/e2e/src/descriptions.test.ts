import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { faultsOf, type OpenApi } from '@keelson/openapi';
import { describe, expect, test } from 'vitest';
import { json, knock, openApi } from './api.ts';

const CATALOG = '/.well-known/api-catalog';
const NOBODY = '01890000-0000-7000-8000-000000000000';

type Catalog = { linkset: { anchor: string; 'service-desc': { href: string; type: string; title: string }[] }[] };

const services = resolve(import.meta.dirname, '../../../services');
const apis = readdirSync(services).filter((name) => {
  const file = join(services, name, 'service.json');
  return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).kind === 'api';
});

describe(CATALOG, () => {
  test('names the description of every API', async () => {
    const answer = await knock('GET', CATALOG);
    expect(answer.status).toBe(200);
    const { linkset } = json<Catalog>(answer);
    expect(linkset.map(({ anchor }) => anchor)).toEqual(['/api/v1/']);
    expect(linkset[0]!['service-desc'].toSorted((a, b) => (a.title < b.title ? -1 : 1))).toEqual(
      apis.toSorted().map((title) => ({ href: `/api/v1/openapi/${title}.json`, type: 'application/json', title })),
    );
  });

  test('is as RFC 9727 has it, with headers that keep it safe once', async () => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await knock(method, CATALOG);
      expect(answer.headers).toMatchObject({
        'content-type': 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"',
        link: `<${CATALOG}>; rel="api-catalog"`,
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cache-control': 'no-cache',
      });
      for (const name of ['x-request-id', 'x-content-type-options', 'referrer-policy', 'content-security-policy'])
        expect([name, answer.times(name)]).toEqual([name, 1]);
    }
  });

  test('can only be read, and is kept while it is the same', async () => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const { status, headers } = await knock(method, CATALOG);
      expect([method, status, headers.allow]).toEqual([method, 405, 'GET, HEAD']);
    }
    const { etag } = (await knock('GET', CATALOG)).headers;
    expect((await knock('GET', CATALOG, { headers: { 'if-none-match': etag! } })).status).toBe(304);
  });
});

describe.for(apis)('the description of %s', (api) => {
  const path = `/api/v1/openapi/${api}.json`;
  const read = async () => json<OpenApi & { info: { title: string } }>(await knock('GET', path));

  test('is valid OpenAPI 3.1, and its own', async () => {
    const document = await read();
    expect(faultsOf(document)).toEqual([]);
    expect(document.info.title).toBe(api);
    expect(Object.keys(document.paths)).toContain(path);
  });

  test('has only what the proxy routes to this API', async () => {
    // What an operation does may leave traces; what it refuses does not, and only the API itself knows what it allows.
    for (const [template, methods] of Object.entries((await read()).paths)) {
      const { status, headers } = await knock('OPTIONS', template.replaceAll(/\{\w+\}/g, NOBODY));
      const allowed = Object.keys(methods).map((method) => method.toUpperCase());
      if (allowed.includes('GET')) allowed.push('HEAD');
      expect([template, status, headers.allow?.split(', ').toSorted()]).toEqual([template, 405, allowed.toSorted()]);
    }
  });
});

test('/api/v1/openapi.json is the description of roster-api', async () => {
  expect(await openApi()).toEqual(json(await knock('GET', '/api/v1/openapi/roster-api.json')));
});
