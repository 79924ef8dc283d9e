import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@keelson/logger';
import { afterAll, expect, test } from 'vitest';
import { createRedirect } from './redirect.ts';

const folder = mkdtempSync(join(tmpdir(), 'ingress-'));
writeFileSync(join(folder, 'token_1-A'), 'token_1-A.thumbprint');
writeFileSync(join(folder, '..secret'), 'secret');
afterAll(() => rmSync(folder, { recursive: true }));

const log = createLogger({ service: 'ingress', level: 'silent' });

/** One request, byte for byte. */
async function ask(request: string, tlsPort = 443) {
  const limits = { connections: 10, clientConnections: 10 };
  const server = createRedirect({ tlsPort, challengesDir: folder, log, ...limits }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk));
  socket.write(request);
  await once(socket, 'close');
  server.close();
  const [head = '', body] = answer.split('\r\n\r\n');
  return {
    status: Number(head.split(' ')[1]),
    location: /^location: (.*)$/im.exec(head)?.[1],
    body: body?.replace(/^[0-9a-f]+\r\n|\r\n0$/g, ''),
  };
}

test('sends everything to the same address with TLS', async () => {
  for (const method of ['GET', 'HEAD', 'POST'])
    expect(await ask(`${method} /a%20b?c=d HTTP/1.1\r\nHost: Www.Example.com:80\r\n\r\n`)).toMatchObject({
      status: 301,
      location: 'https://www.example.com/a%20b?c=d',
    });
});

test('names the port where it is another one', async () => {
  const { location } = await ask('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n', 8443);
  expect(location).toBe('https://www.example.com:8443/');
});

test.for([
  ['no host', 'GET / HTTP/1.0\r\n\r\n'],
  ['an empty one', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
  ['one that is none', 'GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n'],
  ['no path', 'GET http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\n\r\n'],
] as const)('refuses a request with %s', async ([, request]) => {
  expect(await ask(request)).toMatchObject({ status: 400, location: undefined });
});

test.for([
  { connections: 10, clientConnections: 2 },
  { connections: 2, clientConnections: 10 },
])('who holds too many connections gets no more, and the health check its answer: %o', async (limits) => {
  const server = createRedirect({ tlsPort: 443, challengesDir: folder, log, ...limits }).listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = (localAddress: string) => connect({ port, host: '127.0.0.1', localAddress });
  const held = [open('127.0.0.2'), open('127.0.0.2')];
  await Promise.all(held.map((socket) => once(socket, 'connect')));
  await once(open('127.0.0.2').resume(), 'close');
  const health = open('127.0.0.1');
  health.write('GET /healthz HTTP/1.0\r\n\r\n');
  expect(String((await once(health, 'data'))[0])).toMatch(/^HTTP\/1.1 200 /);
  held[0]!.end('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n').resume();
  await once(held[0]!, 'close');
  const next = open('127.0.0.2');
  next.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
  expect(String((await once(next, 'data'))[0])).toMatch(/^HTTP\/1.1 301 /);
  server.close();
  server.closeAllConnections();
});

test('shows a certificate authority what was put there for it, and nothing else', async () => {
  const challenge = (token: string) =>
    ask(`GET /.well-known/acme-challenge/${token} HTTP/1.1\r\nHost: www.example.com\r\n\r\n`);
  expect(await challenge('token_1-A')).toMatchObject({ status: 200, body: 'token_1-A.thumbprint' });
  for (const token of ['token_2', '..secret', '../..secret', '%2e%2esecret', '', '.'])
    expect(await challenge(token)).toMatchObject({ status: 301 });
});

test('answers its own health check, which names no host', async () => {
  expect(await ask('GET /healthz HTTP/1.0\r\n\r\n')).toMatchObject({ status: 200, body: 'ok\n' });
  expect(await ask('GET /healthz HTTP/1.1\r\nHost: www.example.com\r\n\r\n')).toMatchObject({ status: 301 });
});
