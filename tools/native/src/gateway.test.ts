import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http, { type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@keelson/logger';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createGateway } from './gateway.ts';

const lines: string[] = [];
const log = createLogger({ service: 'gateway', level: 'info' }, { write: (line: string) => void lines.push(line) });
let dir: string;
let gateway: Server;
let upstream: Server;
let answer: RequestListener;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gateway-'));
  await mkdir(join(dir, 'media/exports'), { recursive: true });
  await mkdir(join(dir, 'console'));
  await writeFile(join(dir, 'secret.txt'), 'secret');
  await writeFile(join(dir, 'media/exports/a.csv'), 'id,name\r\n1,Ann\r\n');
  await writeFile(join(dir, 'console/index.html'), '<h1>console</h1>');
});
afterAll(() => rm(dir, { recursive: true }));

beforeEach(async () => {
  answer = echo;
  upstream = await listening(http.createServer((req, res) => answer(req, res)));
  gateway = await listening(
    createGateway({
      apis: [
        { name: 'roster-api', routes: ['/api/v1/workers', '/api/v1/openapi.json'], origin: originOf(upstream) },
        { name: 'other-api', routes: ['/api/v1/others'], origin: 'http://127.0.0.1:1' },
      ],
      mediaDir: join(dir, 'media'),
      consoleDir: join(dir, 'console'),
      log,
      answerWithinMs: 500,
    }),
  );
});
afterEach(() => {
  for (const server of [gateway, upstream]) {
    server.close();
    server.closeAllConnections();
  }
});

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

async function listening(server: Server, port = 0): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

/** Tells the client what the service was sent. */
const echo: RequestListener = async (req, res) => {
  const { method, url, headers } = req;
  const bytes = (await buffer(req).catch(() => '')).length;
  res.setHeader('content-type', 'application/json').setHeader('etag', '"v1"').setHeader('x-request-id', 'the-service');
  res.setHeader('x-content-type-options', 'nosniff').setHeader('set-cookie', ['a=1', 'b=2']);
  res.end(JSON.stringify({ method, url, headers, bytes }));
};

type Sent = { method?: string; headers?: Record<string, string>; body?: string | Buffer };
type Got = { status: number; headers: IncomingHttpHeaders; raw: string[]; text: string; json: () => never };

/** `fetch` would tidy paths and headers that a client may well send. */
function send(path: string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = http.request(originOf(gateway), { method, path, headers }, (res) => {
      const { statusCode: status = 0, headers, rawHeaders: raw } = res;
      text(res).then((text) => resolve({ status, headers, raw, text, json: () => JSON.parse(text) as never }), reject);
    });
    request.on('error', reject).end(body);
  });
}

/** What a client that speaks no HTTP gets. */
function sendRaw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect((gateway.address() as AddressInfo).port, '127.0.0.1', () => socket.end(bytes));
    void text(socket).then(resolve);
  });
}

const problem = (status: number) => ({
  status,
  headers: expect.objectContaining({
    'content-type': 'application/problem+json',
    'x-request-id': expect.any(String),
    'x-content-type-options': 'nosniff',
    'content-security-policy': expect.any(String),
  }),
});

describe('routes', () => {
  test.for([
    ...['/api/v1/workers', '/api/v1/workers?limit=1', '/api/v1/workers/7', '/api/v1/openapi.json'],
    '/api/v1/openapi/roster-api.json',
  ])('%s is passed on as it was sent', async (path) => {
    const got = await send(path);
    expect(got.status).toBe(200);
    expect(got.json()).toMatchObject({ method: 'GET', url: path });
  });

  test.for([
    ...['/api', '/api/v1/workersx', '/api/v1/Workers', '/api/v1/openapi.jsonx', '/api/v2/workers', '/nowhere'],
    ...['/api/v1/openapi', '/api/v1/openapi/nobody-api.json', '/.well-known/', '/.well-known/api-catalog.json'],
    ...['/internal/v1/exports/7', '/readyz', '/media/exports/a.csv', '//api/v1/workers', '/.env', '/%2561'],
  ])('%s is not found', async (path) => {
    const got = await send(path);
    expect(got).toMatchObject(problem(404));
    expect(got.json()).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: expect.any(String),
      requestId: got.headers['x-request-id'],
    });
  });

  test.for([
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/api/v1/workers/../../../readyz',
    '/internal/v1/exports/..%2f..%2f..%2fapi%2fv1%2fworkers',
    '/api/v1/workers/..%5c..%5creadyz',
    'http://elsewhere/api/v1/workers',
  ])('%s is refused', async (path) => {
    expect(await send(path)).toMatchObject(problem(400));
  });

  test('/.well-known/api-catalog says where each API describes itself', async () => {
    const got = await send('/.well-known/api-catalog');
    expect([got.status, got.json()]).toEqual([
      200,
      {
        linkset: [
          {
            anchor: '/api/v1/',
            'service-desc': ['roster-api', 'other-api'].map((title) => ({
              href: `/api/v1/openapi/${title}.json`,
              type: 'application/json',
              title,
            })),
          },
        ],
      },
    ]);
  });

  test('/healthz is the gateway itself', async () => {
    expect(await send('/healthz')).toMatchObject({ status: 200, text: 'ok\n' });
  });
});

describe('a request on its way', () => {
  test('carries the request id, and the client gets it back once', async () => {
    const got = await send('/api/v1/workers', { headers: { 'x-request-id': 'A.b_c-1' } });
    expect(got.json()).toMatchObject({ headers: { 'x-request-id': 'A.b_c-1' } });
    expect(got.raw.filter((name) => name.toLowerCase() === 'x-request-id')).toHaveLength(1);
    expect(got.headers['x-request-id']).toBe('A.b_c-1');
  });

  test.for(['a b', 'x'.repeat(129), 'a"b'])('has a new request id in place of %j', async (id) => {
    const got = await send('/api/v1/workers', { headers: { 'x-request-id': id } });
    expect(got.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(got.json()).toMatchObject({ headers: { 'x-request-id': got.headers['x-request-id'] } });
  });

  test('tells the service who asks, not who the client claims to be', async () => {
    const places = { 'x-forwarded-port': '1', 'x-forwarded-prefix': '/evil', 'x-real-ip': '6.6.6.6' };
    const forged = {
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil',
      ...places,
    };
    const got = await send('/api/v1/workers', { headers: { ...forged, forwarded: 'for=6.6.6.6', host: 'here:1' } });
    const { headers } = got.json() as { headers: IncomingHttpHeaders };
    expect(headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'here:1',
      host: 'here:1',
    });
    for (const name of ['forwarded', ...Object.keys(places)]) expect(headers).not.toHaveProperty(name);
  });

  test('keeps what the service answers, errors and headers that come twice too', async () => {
    const got = await send('/api/v1/workers');
    expect(got.headers).toMatchObject({
      etag: '"v1"',
      'set-cookie': ['a=1', 'b=2'],
      'x-content-type-options': 'nosniff',
    });
    answer = (_req, res) => res.writeHead(503, { 'retry-after': '7' }).end('away');
    expect(await send('/api/v1/workers')).toMatchObject({
      status: 503,
      text: 'away',
      headers: { 'retry-after': '7' },
    });
  });

  test('leaves one line in the log, without its query', async () => {
    lines.length = 0;
    await send('/nowhere"\\?search=Ada', { headers: { 'x-request-id': 'logged' } });
    await expect
      .poll(() => lines.map((line) => JSON.parse(line)))
      .toMatchObject([
        { requestId: 'logged', method: 'GET', path: '/nowhere"\\', status: 404, ms: expect.any(Number) },
      ]);
  });

  test('may have no body, an empty one or one without a length', async () => {
    for (const method of ['POST', 'DELETE']) {
      expect((await send('/api/v1/workers', { method })).json()).toMatchObject({ method, bytes: 0 });
      const chunked = await send('/api/v1/workers', {
        method,
        headers: { 'transfer-encoding': 'chunked' },
        body: 'abc',
      });
      expect(chunked.json()).toMatchObject({ bytes: 3, headers: { 'transfer-encoding': 'chunked' } });
    }
    const bare = (await send('/api/v1/workers', { method: 'POST', headers: { 'content-length': '0' } })).json();
    expect(bare).toMatchObject({ headers: { 'content-length': '0' } });
  });

  test('of 1 MB is passed on, of more is refused', async () => {
    const post = (size: number, headers = {}) =>
      send('/api/v1/workers', { method: 'POST', headers, body: Buffer.alloc(size) });
    expect((await post(1024 * 1024)).json()).toMatchObject({ bytes: 1024 * 1024 });
    expect(await post(1024 * 1024 + 1)).toMatchObject(problem(413));
    expect(await post(3 * 1024 * 1024, { 'transfer-encoding': 'chunked' })).toMatchObject(problem(413));
  });

  test('is refused without its body, if the service does not want it', async () => {
    answer = (_req, res) => res.writeHead(415).end('no');
    for (let round = 0; round < 20; round++)
      expect(await send('/api/v1/workers', { method: 'POST', body: Buffer.alloc(900_000) })).toMatchObject({
        status: 415,
      });
  });

  test('is streamed in both directions', async () => {
    let firstPart: () => void;
    const arrived = new Promise<void>((resolve) => (firstPart = resolve));
    answer = (req, res) => {
      req.once('data', () => firstPart());
      res.write('first ');
      req.on('end', () => res.end('last'));
    };
    const request = http.request(originOf(gateway), { method: 'POST', path: '/api/v1/workers' });
    request.write('begin');
    await arrived;
    const response = await new Promise<http.IncomingMessage>((resolve) => request.on('response', resolve));
    expect(String(await new Promise((resolve) => response.once('data', resolve)))).toBe('first ');
    request.end('end');
    expect(await text(response)).toBe('last');
  });

  test('is given up when its client goes', async () => {
    const gone = new Promise<void>((resolve) => (answer = (_req, res) => void res.on('close', resolve)));
    const request = http.get(`${originOf(gateway)}/api/v1/workers`).on('error', () => {});
    await delay(50);
    request.destroy();
    await gone;
  });
});

describe('a service that is not there', () => {
  test('is waited for while it restarts', async () => {
    const { port } = upstream.address() as AddressInfo;
    await new Promise((resolve) => upstream.close(resolve));
    const pending = send('/api/v1/workers', { method: 'POST', body: 'abc' });
    await delay(500);
    upstream = await listening(http.createServer(echo), port);
    expect((await pending).json()).toMatchObject({ method: 'POST', bytes: 3 });
  });

  test('is a 502 after two seconds', { timeout: 10_000 }, async () => {
    const begin = Date.now();
    const got = await send('/api/v1/others');
    expect(got).toMatchObject(problem(502));
    expect(got.headers['retry-after']).toBe('2');
    expect(Date.now() - begin).toBeGreaterThan(1900);
  });

  test('is a 502 at once when it breaks off, and the request is not sent again', async () => {
    let requests = 0;
    answer = (req) => {
      requests++;
      req.socket.destroy();
    };
    const sent = { method: 'POST', body: Buffer.alloc(900_000) };
    expect(await send('/api/v1/workers', sent)).toMatchObject(problem(502));
    expect(requests).toBe(1);
  });

  test('breaks off the answer too, when it breaks off in the middle of one', async () => {
    answer = (req, res) => {
      res.writeHead(200, { 'content-length': '10' }).write('half');
      setTimeout(() => req.socket.destroy(), 20);
    };
    await expect(send('/api/v1/workers')).rejects.toThrow('aborted');
  });

  test('is a 504 when it does not answer', async () => {
    answer = () => {};
    const got = await send('/api/v1/workers');
    expect(got).toMatchObject(problem(504));
    expect(got.headers['retry-after']).toBe('2');
  });
});

describe('an exported file', () => {
  const redirectTo = (path: string) => {
    answer = (_req, res) =>
      res
        .writeHead(200, {
          'x-accel-redirect': path,
          'content-type': 'text/csv; charset=utf-8',
          'content-disposition': 'attachment; filename="workers.csv"',
        })
        .end();
  };

  test("is sent with the service's type and name", async () => {
    redirectTo('/media/exports/a.csv');
    const got = await send('/api/v1/workers/file');
    expect(got).toMatchObject({ status: 200, text: 'id,name\r\n1,Ann\r\n' });
    expect(got.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="workers.csv"',
      'content-length': '16',
      'x-content-type-options': 'nosniff',
    });
    expect(got.headers).not.toHaveProperty('x-accel-redirect');
  });

  test('is sent in part', async () => {
    redirectTo('/media/exports/a.csv');
    const got = await send('/api/v1/workers/file', { headers: { range: 'bytes=3-6' } });
    expect(got).toMatchObject({ status: 206, text: 'name', headers: { 'content-range': 'bytes 3-6/16' } });
    const beyond = await send('/api/v1/workers/file', { headers: { range: 'bytes=300-' } });
    expect(beyond).toMatchObject(problem(416));
    expect(beyond.headers['content-range']).toBe('bytes */16');
  });

  test.for([
    '/media/exports/b.csv',
    '/media/exports',
    '/media/exports/',
    '/media/',
    '/media/..%2fsecret.txt',
    '/secret.txt',
  ])('that is not one is not found: %s', async (path) => {
    redirectTo(path);
    const got = await send('/api/v1/workers/file');
    expect(got).toMatchObject(problem(404));
    expect(got.headers).not.toHaveProperty('content-disposition');
  });
});

describe('the console', () => {
  test('is the page at /', async () => {
    const got = await send('/');
    expect(got).toMatchObject({ status: 200, text: '<h1>console</h1>' });
    expect(got.headers['content-type']).toMatch(/^text\/html/);
    expect(got.headers['content-security-policy']).toContain("script-src 'self'");
    const again = await send('/', { headers: { 'if-none-match': got.headers.etag! } });
    expect(again.status).toBe(304);
  });

  test.for(['POST', 'PUT', 'DELETE'])('is not for %s', async (method) => {
    const got = await send('/', { method });
    expect(got).toMatchObject(problem(405));
    expect(got.headers.allow).toBe('GET, HEAD');
  });
});

describe('what is no request', () => {
  test.for([
    ['nonsense', 'nonsense\r\n\r\n', 400],
    ['headers of 20 kB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['an address of 10 kB', `GET /${'x'.repeat(10_000)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 414],
  ] as const)('%s is refused with a problem', async ([, bytes, status]) => {
    const [head, body] = (await sendRaw(bytes)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} .*x-request-id: `, 'is'));
    expect(JSON.parse(body!)).toMatchObject({ status, requestId: expect.any(String) });
  });
});
