import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@keelson/logger';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createIngress } from './ingress.ts';
import type { Proxy } from './proxies.ts';
import { helloFor } from './testing-hello.ts';

const HOST = 'www.example.com';
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 1, 0, 2, 2, 112]);
const INTERNAL_ERROR = Buffer.from([21, 3, 1, 0, 2, 2, 80]);

let hello: Buffer;
beforeAll(async () => {
  hello = await helloFor(HOST);
});

let servers: Server[];
let proxies: Proxy[];
let lines: Record<string, unknown>[];
beforeEach(() => {
  [servers, proxies, lines] = [[], [], []];
});
afterEach(() => {
  vi.useRealTimers();
  for (const server of servers) server.close();
});

async function listen(server: Server): Promise<Proxy> {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

/** Adds a proxy that does this with each connection. */
const addProxy = async (serve: (socket: Socket) => void) => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  const proxy = await listen(server);
  proxies.push(proxy);
  return proxy;
};

const addDeadProxy = async () => {
  const server = createServer();
  proxies.push(await listen(server));
  server.close();
  await once(server, 'close');
};

const openIngress = (limits: { clientConnections?: number; patienceMs?: number } = {}) => {
  const log = createLogger({ service: 'ingress', level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) });
  const proxiesOf = async (host: string) => (host === HOST ? proxies : []);
  return listen(
    createIngress({ proxiesOf, connections: 1000, clientConnections: 500, patienceMs: 300, log, ...limits }),
  );
};

const open = ({ port, address }: Proxy) => connect({ port, host: address, allowHalfOpen: true });

test('passes on what the client says, its address before it, and what comes back', async () => {
  const seen: Buffer[] = [];
  await addProxy((socket) => {
    socket.once('data', () => socket.write('welcome'));
    socket.on('data', (chunk) => seen.push(chunk)).on('end', () => socket.end(', bye'));
  });
  const client = open(await openIngress());
  client.write(hello.subarray(0, 50));
  await once(client, 'connect');
  const { localPort } = client;
  client.write(hello.subarray(50));
  client.once('readable', () => client.end('and more'));
  expect(String(await buffer(client))).toBe('welcome, bye');

  const bytes = Buffer.concat(seen);
  const end = bytes.indexOf('\r\n') + 2;
  expect(String(bytes.subarray(0, end))).toMatch(
    new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 127\\.0\\.0\\.1 ${localPort} \\d+\r\n$`),
  );
  expect(bytes.subarray(end).equals(Buffer.concat([hello, Buffer.from('and more')]))).toBe(true);
  await vi.waitFor(() => expect(lines).toHaveLength(1));
  expect(lines[0]).toMatchObject({
    service: 'ingress',
    client: '127.0.0.1',
    host: HOST,
    proxy: '127.0.0.1',
    tried: 1,
    received: hello.length + 8,
    sent: 12,
  });
});

test('loses nothing of much, when the client is slow and the proxy closes at once', async () => {
  const much = randomBytes(8_000_000);
  await addProxy((socket) => socket.once('data', () => socket.end(much)));
  const client = open(await openIngress());
  client.write(hello);
  const got: Buffer[] = [];
  for await (const chunk of client) {
    got.push(chunk);
    if (got.length % 20 === 0) await delay(5);
  }
  expect(Buffer.concat(got).equals(much)).toBe(true);
  client.end();
  await vi.waitFor(() => expect(lines).toMatchObject([{ sent: much.length }]));
});

describe('goes to the next proxy, unseen by the client, when one', () => {
  const addLiving = () => addProxy((socket) => socket.once('data', () => socket.end('served')));
  const ask = async () => {
    const client = open(await openIngress());
    client.write(hello);
    const answer = String(await buffer(client));
    client.end();
    return answer;
  };

  test('is gone', async () => {
    await addDeadProxy();
    await addLiving();
    expect(await ask()).toBe('served');
    await vi.waitFor(() => expect(lines).toMatchObject([{ tried: 2 }]));
  });

  test('takes the connection and drops it before it has answered', async () => {
    await addProxy((socket) => socket.resetAndDestroy());
    await addProxy((socket) => socket.once('data', () => socket.resetAndDestroy()));
    await addProxy((socket) => socket.once('data', () => socket.destroy()));
    await addProxy((socket) => socket.end());
    await addLiving();
    expect(await ask()).toBe('served');
    await vi.waitFor(() => expect(lines).toMatchObject([{ tried: 5 }]));
  });

  test('takes the connection and says nothing', async () => {
    const taken = Promise.withResolvers<Socket>();
    await addProxy((socket) => socket.once('data', () => taken.resolve(socket)));
    await addLiving();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const answer = ask();
    const silent = await taken.promise;
    vi.advanceTimersByTime(10_000);
    expect(await answer).toBe('served');
    silent.destroy();
  });
});

test('waits for a proxy that is about to be there', async () => {
  await addDeadProxy();
  const { port } = proxies[0]!;
  const client = open(await openIngress({ patienceMs: 30_000 }));
  client.write(hello);
  const late = createServer((socket) => socket.once('data', () => socket.end('served')));
  setTimeout(() => servers.push(late.listen(port, '127.0.0.1')), 300);
  expect(String(await buffer(client))).toBe('served');
  client.end();
});

test('a proxy that breaks off is seen as that, and not as an end', async () => {
  await addProxy((socket) => {
    socket.once('data', () => socket.write('half', () => setTimeout(() => socket.resetAndDestroy(), 20)));
  });
  const client = open(await openIngress());
  client.write(hello);
  await expect(buffer(client)).rejects.toThrow('ECONNRESET');
});

test('a client that leaves takes its connection to the proxy with it', async () => {
  const left = Promise.withResolvers<undefined>();
  await addProxy((socket) => {
    socket.once('data', () => socket.write('served')).once('end', () => left.resolve(undefined));
  });
  const client = open(await openIngress());
  client.write(hello);
  await once(client, 'data');
  client.resetAndDestroy();
  await left.promise;
});

describe('refuses in the words of TLS', () => {
  const refusal = async (said: Buffer | string) => {
    const client = open(await openIngress());
    client.write(said);
    const answer = await buffer(client);
    client.end();
    await vi.waitFor(() => expect(lines).toHaveLength(1));
    return answer;
  };

  test('a host that nobody has', async () => {
    expect(await refusal(await helloFor('other.example.com'))).toEqual(UNRECOGNIZED_NAME);
    expect(lines).toMatchObject([{ host: 'other.example.com', refused: 'no such host' }]);
  });

  test('a client that names no host', async () => {
    expect(await refusal(await helloFor(''))).toEqual(UNRECOGNIZED_NAME);
    expect(lines).toMatchObject([{ refused: 'it names no host' }]);
  });

  test('all, where no proxy answers', async () => {
    await addDeadProxy();
    await addDeadProxy();
    expect(await refusal(hello)).toEqual(INTERNAL_ERROR);
    expect(lines).toMatchObject([{ host: HOST, refused: 'no proxy answers' }]);
  });

  test('but says nothing to what does not speak TLS', async () => {
    expect(await refusal('GET / HTTP/1.1\r\n\r\n')).toHaveLength(0);
    expect(lines).toMatchObject([{ refused: 'it does not speak TLS' }]);
  });
});

test('closes on a client that says nothing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const server = await openIngress();
  const client = open(server);
  await once(servers.at(-1)!, 'connection');
  client.write(hello.subarray(0, 20));
  vi.advanceTimersByTime(9_900);
  expect(client.readableEnded).toBe(false);
  vi.advanceTimersByTime(200);
  expect(await buffer(client)).toHaveLength(0);
  expect(lines).toMatchObject([{ refused: 'it says nothing' }]);
});

test('has no more connections of one client than it is told', async () => {
  await addProxy((socket) => socket.once('data', () => socket.write('served')).on('end', () => socket.end()));
  const ingress = await openIngress({ clientConnections: 2 });
  const enter = async () => {
    const client = connect(ingress.port, ingress.address).on('error', () => undefined);
    client.write(hello);
    const [answer] = await Promise.race([once(client, 'data'), once(client, 'close').then(() => ['refused'])]);
    return { client, answer: String(answer) };
  };
  const first = await enter();
  const second = await enter();
  const third = await enter();
  expect([first, second, third].map(({ answer }) => answer)).toEqual(['served', 'served', 'refused']);
  first.client.destroy();
  await vi.waitFor(async () => expect((await enter()).answer).toBe('served'));
  second.client.destroy();
});
