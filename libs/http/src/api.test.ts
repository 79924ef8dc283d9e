import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '@keelson/logger';
import { comparer, faultsOf } from '@keelson/openapi';
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, type ApiOptions } from './api.ts';
import { operation } from './operation.ts';
import { notFound, Problem } from './problem.ts';

type LogLine = Record<string, unknown> & { msg: string; err?: { message: string; stack: string } };

const SERVICE = { service: 'ships-api', version: '1.2.3', commit: 'abc1234', build: '42' };
const DATABASE_AWAY = new Error('the database is away');
const answers = { 200: { description: 'A ship', schema: z.object({ name: z.string() }) } };

let lines: LogLine[];
let server: Server;
beforeEach(() => {
  lines = [];
});
afterEach(() => server.close());

/** An API whose one operation, GET /api/v1/ships/{id}, does `handle`; and what else is told. */
async function start(handle: Parameters<typeof operation>[0]['handle'], options: Partial<ApiOptions> = {}) {
  const write = (line: string) => void lines.push(JSON.parse(line));
  const app = createApi({
    service: SERVICE,
    log: createLogger({ service: 'ships-api', level: 'info' }, { write }),
    operations: [
      operation({
        method: 'get',
        path: '/api/v1/ships/{id}',
        summary: 'Read a ship',
        access: 'public',
        answers,
        problems: [404],
        handle,
      }),
    ],
    ready: async () => undefined,
    isUnavailable: (error) => error === DATABASE_AWAY,
    ...options,
  });
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return app;
}

const get = (path = '/api/v1/ships/1') => request(server).get(path);
const argo: Parameters<typeof start>[0] = ({ res }) => res.json({ name: 'Argo' });
const requestLines = () => lines.filter((line) => 'status' in line);

describe('the request id', () => {
  test.for(['r1', 'A.b_c-9', 'x'.repeat(128)])('%s is taken as it came', async (id) => {
    await start(({ req, res }) => res.json({ name: req.id }));
    const { headers, body } = await get().set('X-Request-Id', id);
    expect([headers['x-request-id'], body.name]).toEqual([id, id]);
  });

  test.for(['', 'x'.repeat(129), 'a b', 'a"b', '{}', 'a/b', 'a,b', 'café', undefined])('%s is replaced', async (id) => {
    await start(argo);
    const asked = await (id === undefined ? get() : get().set('X-Request-Id', id));
    expect(asked.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('is in every answer, and in every line that is logged on its way', async () => {
    await start(({ req }) => {
      req.log.info('looking');
      throw new Error('sunk');
    });
    const { headers, body } = await get().set('X-Request-Id', 'r1');
    expect([headers['x-request-id'], body.requestId]).toEqual(['r1', 'r1']);
    expect(lines.map(({ msg, requestId }) => [msg, requestId])).toEqual([
      ['looking', 'r1'],
      ['request failed', 'r1'],
      ['GET /api/v1/ships/1 500', 'r1'],
    ]);
  });
});

describe('the log', () => {
  test('has one line a request, and no secret in it', async () => {
    await start(argo);
    await get('/api/v1/ships/1?token=secret1')
      .set('Authorization', 'Bearer secret2')
      .set('Cookie', 'session=secret3')
      .set('Idempotency-Key', 'secret4');
    await request(server).post('/api/v1/ships/1').send({ password: 'secret5' });
    expect(lines).toEqual([
      expect.objectContaining({ level: 'info', method: 'GET', path: '/api/v1/ships/1', status: 200 }),
      expect.objectContaining({ level: 'info', method: 'POST', path: '/api/v1/ships/1', status: 405 }),
    ]);
    expect(lines[0]!['ms']).toEqual(expect.any(Number));
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  test('leaves out the questions after health', async () => {
    await start(argo);
    for (const path of ['/healthz', '/readyz', '/healthz?x=1']) await get(path);
    expect(lines).toEqual([]);
  });

  test('tells when the client went away, and still what failed then', async () => {
    let fail!: (error: Error) => void;
    await start(() => new Promise((_, reject) => (fail = reject)));
    const { port } = server.address() as AddressInfo;
    const asking = httpRequest({ port, path: '/api/v1/ships/1' }).on('error', () => undefined);
    asking.end();
    await expect.poll(() => fail).toBeTruthy();
    asking.destroy();
    await expect.poll(requestLines).toEqual([expect.objectContaining({ level: 'info', status: 499, aborted: true })]);
    fail(new Error('sunk'));
    await expect.poll(() => lines.at(-1)).toMatchObject({ level: 'error', msg: 'request failed' });
    expect(requestLines()).toHaveLength(1);
  });

  test('tells when the client went away before it had asked', async () => {
    const body = z.object({ name: z.string() });
    const launch = operation({
      method: 'post',
      path: '/ships',
      summary: 'Launch a ship',
      access: 'public',
      body,
      answers,
      handle: argo,
    });
    await start(argo, { operations: [launch] });
    const { port } = server.address() as AddressInfo;
    const headers = { 'content-type': 'application/json', 'content-length': 100 };
    const asking = httpRequest({ port, method: 'POST', path: '/ships', headers }).on('error', () => undefined);
    asking.write('{"name":');
    await once(server, 'request');
    asking.destroy();
    await expect.poll(() => lines).toEqual([expect.objectContaining({ level: 'info', path: '/ships', aborted: true })]);
  });
});

describe('an error', () => {
  test('of ours tells the client nothing but the id; the log has it all', async () => {
    await start(() => {
      throw Object.assign(new Error('no host db-7 for user admin'), { status: 404, detail: 'secret' });
    });
    const { status, headers, body } = await get().set('X-Request-Id', 'r1');
    expect(status).toBe(500);
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(body).toEqual({ type: 'about:blank', title: 'Internal Server Error', status: 500, requestId: 'r1' });
    expect(lines[0]).toMatchObject({ level: 'error', msg: 'request failed' });
    expect(lines[0]!.err!.stack).toMatch(/no host db-7 for user admin\n +at .*api\.test\.ts/);
    expect(requestLines()).toEqual([expect.objectContaining({ level: 'error', status: 500 })]);
  });

  test.for<() => unknown>([
    () => Promise.reject(new Error('later')),
    () => Promise.reject(undefined),
    () => {
      throw 'a string';
    },
  ])('is a 500 however it comes: %s', async (handle) => {
    await start(handle);
    expect((await get()).status).toBe(500);
  });

  test('that means that the database is away is 503: come back', async () => {
    await start(() => Promise.reject(DATABASE_AWAY));
    const { status, headers, body } = await get();
    expect([status, headers['retry-after']]).toEqual([503, '2']);
    expect(body.detail).toBe('The service gets no answer from its database in time. Try again in a moment.');
    expect(lines[0]!.err!.message).toBe('the database is away');
  });

  test('of the client is told to it, and is no error in the log', async () => {
    await start(() => {
      throw notFound('ship');
    });
    expect((await get()).body).toMatchObject({ title: 'Not Found', status: 404, detail: 'There is no such ship.' });
    expect(lines).toEqual([expect.objectContaining({ level: 'info', status: 404 })]);
  });

  test('may carry headers, faults and the code of another standard', async () => {
    const errors = [{ in: 'query' as const, name: 'sort', detail: 'is not known' }];
    await start(() => {
      throw new Problem(429, 'Slowly.', { errors, error: 'slow_down', headers: { 'Retry-After': '7' } });
    });
    const { status, headers, body } = await get();
    expect([status, headers['retry-after'], body.errors, body.error]).toEqual([429, '7', errors, 'slow_down']);
  });

  test('after the answer began cuts it off, so that it does not pass for whole', async () => {
    await start(({ res }) => {
      res.type('json').write('{"name":');
      throw new Error('sunk');
    });
    await expect(get()).rejects.toThrow(/aborted|hang up|terminated/);
    expect(lines[0]).toMatchObject({ level: 'error', msg: 'request failed', err: { message: 'sunk' } });
    await expect.poll(requestLines).toEqual([expect.objectContaining({ aborted: true })]);
  });
});

describe('what is not there', () => {
  test.for(['/', '/nowhere', '/api/v1/ships', '/API/v1/ships/1', '/api/v1/ships/1/more', '/%zz'])(
    '%s is 404',
    async (path) => {
      await start(argo);
      const { status, body } = await get(path);
      expect([status, body.title]).toEqual([404, 'Not Found']);
    },
  );

  test.for(['put', 'post', 'delete', 'patch', 'options'] as const)('%s is 405, with what there is', async (method) => {
    await start(argo);
    for (const path of ['/api/v1/ships/1', '/api/v1/openapi/ships-api.json']) {
      const { status, headers, body } = await request(server)[method](path);
      expect([status, headers.allow, body.status]).toEqual([405, 'GET, HEAD', 405]);
    }
  });

  test('a path that is not well encoded is 400', async () => {
    await start(argo);
    expect((await get('/api/v1/ships/%zz')).status).toBe(400);
  });
});

describe('health', () => {
  test('tells what runs here', async () => {
    await start(argo);
    expect((await get('/healthz')).body).toEqual({ status: 'ok', ...SERVICE });
    expect((await get('/readyz')).body).toEqual({ status: 'ready', ...SERVICE });
  });

  const refused = new AggregateError([new Error('::1'), new Error('127.0.0.1')], '');
  test.for<[string, ApiOptions['ready']]>([
    ['the schema is old', async () => 'the schema is old'],
    ['no route to host', () => Promise.reject(new Error('no route to host'))],
    ['ECONNREFUSED', () => Promise.reject(Object.assign(refused, { code: 'ECONNREFUSED' }))],
    ['AggregateError', () => Promise.reject(new AggregateError([], ''))],
  ])('is not ready, and says why: %s', async ([reason, ready]) => {
    await start(argo, { ready });
    const { status, body } = await get('/readyz');
    expect([status, body]).toEqual([503, { status: 'unavailable', reason, ...SERVICE }]);
    expect(lines).toEqual([expect.objectContaining({ level: 'warn', msg: 'not ready', reason })]);
    expect((await get('/healthz')).status).toBe(200);
  });

  test('is not ready while it drains; its answers end their connections', async () => {
    const app = await start(argo);
    app.locals['draining'] = true;
    expect((await get('/readyz').set('Connection', 'keep-alive')).status).toBe(503);
    const { status, headers } = await get().set('Connection', 'keep-alive');
    expect([status, headers['connection']]).toEqual([200, 'close']);
  });
});

describe('every answer', () => {
  test('forbids to be run, framed or guessed at, and says nothing of what made it', async () => {
    await start(argo);
    for (const path of ['/api/v1/ships/1', '/nowhere', '/healthz']) {
      const { headers } = await get(path);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      });
      expect(headers).not.toHaveProperty('x-powered-by');
      expect(headers).not.toHaveProperty('strict-transport-security');
      expect(headers).not.toHaveProperty('etag');
    }
  });
});

describe('the description', () => {
  const Ship = z.object({ name: z.string() }).meta({ id: 'Ship' });
  const ships = operation({
    method: 'get',
    path: '/api/v1/ships',
    summary: 'List ships',
    access: 'public',
    query: z.strictObject({ limit: z.coerce.number().int().default(50), of: z.string(), by: z.string().optional() }),
    answers: { 200: { description: 'Ships', schema: z.array(Ship) } },
    handle: ({ res }) => res.json([{ name: 'Argo' }]),
  });
  const launch = operation({
    method: 'post',
    path: '/api/v1/ships',
    summary: 'Launch a ship',
    access: 'public',
    headers: z.object({ 'x-key': z.string().optional() }),
    body: Ship,
    answers: { 201: { description: 'It', schema: Ship, headers: z.object({ Location: z.string() }) } },
    problems: [409],
    handle: ({ body, res }) => res.status(201).location('/api/v1/ships/1').json(body),
  });
  const scuttle = operation({
    method: 'post',
    path: '/internal/v1/scuttle',
    summary: 'Between services',
    access: 'public',
    body: z.strictObject({}),
    answers: { 204: { description: 'Done' } },
    handle: ({ res }) => res.status(204).end(),
  });
  const read = async () => {
    await start(argo, { operations: [ships, launch], internal: [scuttle] });
    return (await get('/api/v1/openapi/ships-api.json')).body;
  };

  test('is valid OpenAPI 3.1, has every operation, and not the internal ones', async () => {
    const document = await read();
    expect(faultsOf(document)).toEqual([]);
    expect(document.info).toEqual({ title: 'ships-api', version: '1.2.3' });
    expect(Object.keys(document.paths)).toEqual(['/api/v1/ships', '/api/v1/openapi/ships-api.json']);
    expect((await request(server).post('/internal/v1/scuttle')).status).toBe(204);
  });

  test('may be at another address too, and says so', async () => {
    await start(argo, { alsoDescribedAt: '/api/v1/openapi.json' });
    const { body } = await get('/api/v1/openapi.json');
    expect(Object.keys(body.paths)).toContain('/api/v1/openapi.json');
    expect((await get('/api/v1/openapi/ships-api.json')).body).toEqual(body);
  });

  test('is true of what is answered, also of itself', async () => {
    const differences = comparer(await read());
    for (const sent of [
      get('/api/v1/ships?of=greece'),
      get('/api/v1/ships?of=greece').set('If-None-Match', '*'),
      get('/api/v1/ships?limit=x'),
      request(server).put('/api/v1/ships'),
      request(server).head('/api/v1/ships?of=greece'),
      request(server).post('/api/v1/ships').send({ name: 'Argo' }),
      request(server).post('/api/v1/ships').send({}),
      request(server).post('/api/v1/ships').send('a=b'),
      get('/api/v1/openapi/ships-api.json'),
    ]) {
      const { status, headers, text = '' } = await sent;
      const path = sent.url.replace(/^http:\/\/[^/]+/, '');
      const answer = { method: sent.method, path, status, headers, text, bytes: Buffer.from(text) };
      expect(differences(answer)).toEqual([]);
    }
  });

  test('requires what is required', async () => {
    const { get: list, post } = (await read()).paths['/api/v1/ships'];
    const required = (parameters: { name: string; required?: boolean }[]) =>
      parameters.map(({ name, required = false }) => [name, required]);
    expect(required(list.parameters)).toEqual([
      ['limit', false],
      ['of', true],
      ['by', false],
    ]);
    expect(required(post.parameters)).toEqual([['x-key', false]]);
    expect(post.requestBody.required).toBe(true);
    expect(list.requestBody).toBeUndefined();
    expect(Object.keys(list.responses)).toEqual(['200', '304', '400', '429', '500', '502', '503', '504']);
    expect(Object.keys(post.responses)).toEqual([
      '201',
      '400',
      '409',
      '413',
      '415',
      '422',
      '429',
      '500',
      '502',
      '503',
      '504',
    ]);
  });
});
