import { faultsOf } from '@keelson/openapi';
import { describe, expect, inject, test, vi } from 'vitest';
import { call, json, knock, openApi } from './api.ts';
import { send } from './http.ts';
import { hire, unique } from './roster.ts';

const NOBODY = '01890000-0000-7000-8000-000000000000';
const CSV_HEADER = 'id,name,role,email,hiredOn';

async function exported(): Promise<string> {
  const { headers } = await call('POST', '/api/v1/exports');
  const location = headers.location!;
  await vi.waitFor(async () => expect(json(await call('GET', location))).toMatchObject({ state: 'done' }), {
    timeout: 120_000,
    interval: 100,
  });
  return location.split('/').at(-1)!;
}

describe('a request id', () => {
  const answers = ['/api/v1/workers?limit=1', `/api/v1/workers/${NOBODY}`, '/', '/nowhere'];

  test.for(answers)('comes back from %s as it was sent', async (path) => {
    for (const id of [unique(), 'A.b_c-9', 'x'.repeat(128)]) {
      const answer = await knock('GET', path, { headers: { 'x-request-id': id } });
      expect(answer.headers['x-request-id']).toBe(id);
      expect(answer.times('x-request-id')).toBe(1);
    }
  });

  test.for(answers)('is made by %s where it is missing or no plain word', async (path) => {
    const given = ['', 'x'.repeat(129), 'a b', 'a"b', '{"a":1}', 'a/b', 'a,b', 'caf\u00e9', undefined];
    const made = new Set<unknown>();
    for (const id of given) {
      const answer = await knock('GET', path, id === undefined ? {} : { headers: { 'x-request-id': id } });
      expect(answer.headers['x-request-id']).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
      expect(answer.times('x-request-id')).toBe(1);
      made.add(answer.headers['x-request-id']);
    }
    expect(made.size).toBe(given.length);
    for (const id of given) expect(made).not.toContain(id);
  });
});

describe('headers', () => {
  const once = ['x-request-id', 'x-content-type-options', 'referrer-policy', 'content-security-policy', 'content-type'];
  const expectSafe = (answer: Awaited<ReturnType<typeof send>>) => {
    expect(Object.fromEntries(once.map((name) => [name, answer.times(name)]))).toEqual(
      Object.fromEntries(once.map((name) => [name, 1])),
    );
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    expect(answer.headers['x-powered-by']).toBeUndefined();
    expect(answer.headers.server ?? '').not.toMatch(/\d/);
    for (const name of ['date', 'content-length', 'x-frame-options', 'strict-transport-security', 'cache-control'])
      expect([name, answer.times(name) <= 1]).toEqual([name, true]);
  };

  test.for([
    ['the console', 'GET', '/', 200],
    ['the API', 'GET', '/api/v1/workers?limit=1', 200],
    ["the API's errors", 'GET', '/api/v1/workers/abc', 400],
    ["the API's refusals", 'PUT', '/api/v1/workers', 405],
    ["the proxy's own errors", 'GET', '/nowhere', 404],
    ['the account of the API', 'GET', '/api/v1/openapi.json', 200],
  ] as const)('that keep %s safe come once', async ([, method, path, status]) => {
    const answer = await send(method, path);
    expect(answer.status).toBe(status);
    expectSafe(answer);
  });

  test('that keep an exported file safe come once', { timeout: 150_000 }, async () => {
    expectSafe(await call('GET', `/api/v1/exports/${await exported()}/file`));
  });
});

describe('what is not open to the world', () => {
  const closed = [
    ...[
      '/nowhere',
      '/api',
      '/api/',
      '/api/v1',
      '/api/v1/',
      '/api/v1/nowhere',
      '/api/v2/workers',
      '/api/v1/workersx',
      '/api/v1/Workers',
    ],
    ...['/api/v1/exports.csv', '/api/v1/openapi.jsonx', `/api/v1/workers/${NOBODY}/more`, '/api/v1/exports/x/y/z'],
    ...[
      '/internal',
      '/internal/',
      `/internal/v1/exports/${NOBODY}`,
      '/readyz',
      '/metrics',
      '/api/v1/readyz',
      '/api/v1/internal',
    ],
    ...['/media', '/media/', '/media/exports/', '/_problem', '/.env', '/.git/config', '/package.json', '/src/main.ts'],
  ];
  test.for(closed)('%s is not found', async (path) => {
    const answer = await knock('GET', path);
    expect(answer.status, answer.text.slice(0, 500)).toBe(404);
  });

  test.for([
    `/api/v1/workers/../../../internal/v1/exports/${NOBODY}`,
    `/api/v1/workers/%2e%2e/%2e%2e/%2e%2e/internal/v1/exports/${NOBODY}`,
    `/api/v1/workers/..%2f..%2f..%2finternal/v1/exports/${NOBODY}`,
    '/api/v1/workers/..%2f..%2f..%2freadyz',
    '/api/v1/workers/../../../readyz',
    '/api/v1/workers%2f..%2f..%2f..%2freadyz',
    '//readyz',
    '//internal/v1/exports',
    '/./readyz',
    '/%72eadyz',
    '/api/v1/workers/;/../../../readyz',
  ])('%s leads nowhere', async (path) => {
    for (const [method, sent] of [
      ['GET', {}],
      ['PATCH', { json: { state: 'failed', reason: 'e2e' } }],
    ] as const) {
      const answer = await knock(method, path, sent);
      expect([method, path, [400, 404].includes(answer.status)]).toEqual([method, path, true]);
      expect(answer.text).not.toContain('"ready"');
    }
  });

  test('an exported file is had through its export alone', { timeout: 150_000 }, async () => {
    const id = await exported();
    const file = `exports/${id}.csv`;
    expect((await call('GET', `/api/v1/exports/${id}/file`)).text.split('\r\n')[0]).toBe(CSV_HEADER);
    for (const path of [
      `/media/${file}`,
      `//media/${file}`,
      `/./media/${file}`,
      `/%6dedia/${file}`,
      `/media%2f${file}`,
      `/%2fmedia/${file}`,
      `/MEDIA/${file}`,
      `/x/../media/${file}`,
      `/x/%2e%2e/media/${file}`,
      `/x/..%2fmedia/${file}`,
      `/x/%2e%2e%2fmedia%2f${file}`,
      `/x/%252e%252e/media/${file}`,
      `/x/..%5cmedia%5c${file}`,
      `/..\\media\\${file}`,
      `/../media/${file}`,
      `/../../../../media/${file}`,
      `/api/v1/exports/${id}/file/../../../../../media/${file}`,
      `/api/v1/exports/%2e%2e/%2e%2e/%2e%2e/media/${file}`,
      `/media/./${file}`,
      `/media/exports/../${file}`,
      `/media/${file}%00`,
      `/media/${file}/`,
      `/${file}`,
    ]) {
      const answer = await knock('GET', path);
      expect([path, [400, 404].includes(answer.status)]).toEqual([path, true]);
      expect(answer.text).not.toContain(CSV_HEADER);
    }
    const asked = await knock('GET', '/nowhere', { headers: { 'x-accel-redirect': `/media/${file}` } });
    expect(asked.status).toBe(404);
  });

  test.for([
    '/../../../../etc/passwd',
    '/%2e%2e/%2e%2e/%2e%2e/etc/passwd',
    '/..%2f..%2f..%2fetc%2fpasswd',
    '/....//....//etc/passwd',
    '/%c0%ae%c0%ae/etc/passwd',
    '/..%5c..%5c..%5cetc%5cpasswd',
    '/%252e%252e%252f%252e%252e%252fetc/passwd',
  ])('no file of the machine is had as %s', async (path) => {
    const answer = await knock('GET', path);
    expect([400, 404]).toContain(answer.status);
    expect(answer.text).not.toContain('root:');
  });
});

describe('the console', () => {
  test('is a page that loads nothing but its own', async () => {
    const page = await knock('GET', '/');
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    const policy = page.headers['content-security-policy'] as string;
    expect(policy).toMatch(/default-src '(none|self)'/);
    expect(policy).not.toContain('unsafe');
    expect(page.text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=/i);

    const parts = [...page.text.matchAll(/<(?:script|link|img)\b[^>]*\b(?:src|href)="([^"]+)"/g)].map(
      (match) => match[1]!,
    );
    for (const part of parts) {
      expect(part).not.toMatch(/^(https?:)?\/\//);
      const answer = await knock('GET', new URL(part, 'http://console/').pathname);
      expect([part, answer.status]).toEqual([part, 200]);
      expect(answer.headers['content-type']).not.toMatch(/^text\/html/);
    }
  });

  test('answers HEAD, and is kept by browsers while it is the same', async () => {
    const head = await knock('HEAD', '/');
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    const again = await knock('GET', '/', { headers: { 'if-none-match': head.headers.etag! } });
    expect(again.status).toBe(304);
  });

  test('can only be read', async () => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const answer = await knock(method, '/');
      expect([method, answer.status]).toEqual([method, 405]);
      expect(answer.headers.allow).toBe('GET, HEAD');
    }
  });
});

test('/healthz says that the proxy is there', async () => {
  const answer = await knock('GET', '/healthz');
  expect([answer.status, answer.text.trim()]).toEqual([200, 'ok']);
});

describe('another host than that of the proxy', () => {
  const elsewhere = { host: 'evil.example.com' };
  const isSecure = inject('baseUrl').startsWith('https:');

  test.skipIf(isSecure)('is no part of the place that is named', async () => {
    const worker = await hire();
    const again = await call('POST', '/api/v1/workers', {
      json: { ...worker, id: undefined, createdAt: undefined, updatedAt: undefined, email: `${unique()}@example.com` },
      headers: elsewhere,
    });
    expect(again.headers.location).toMatch(/^\/api\/v1\/workers\/[0-9a-f-]{36}$/);
  });

  test.runIf(isSecure)('is refused over TLS, where a connection is for one host', async () => {
    for (const path of ['/', '/nowhere', '/api/v1/workers'])
      expect((await knock('GET', path, { headers: elsewhere })).status).toBe(421);
  });
});

describe('/api/v1/openapi.json', () => {
  test('is valid OpenAPI 3.1', async () => {
    expect(faultsOf(await openApi())).toEqual([]);
  });

  test('names every part of the API', async () => {
    const { paths } = await openApi();
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(operations).toEqual(
      expect.arrayContaining([
        'get /api/v1/workers',
        'post /api/v1/workers',
        'get /api/v1/workers/{id}',
        'patch /api/v1/workers/{id}',
        'delete /api/v1/workers/{id}',
        'get /api/v1/exports',
        'post /api/v1/exports',
        'get /api/v1/exports/{id}',
        'get /api/v1/exports/{id}/file',
      ]),
    );
    expect(operations.filter((operation) => operation.includes('internal'))).toEqual([]);
  });
});
