import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createClient } from './http-client.ts';

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => (server.close(), server.closeAllConnections())));

async function serverOf(listener: RequestListener) {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('sends the request id and a JSON body, and gives back the answer', async () => {
  const url = await serverOf(async (req, res) => {
    const chunks = await req.toArray();
    res.end(JSON.stringify({ id: req.headers['x-request-id'], method: req.method, body: JSON.parse(chunks.join('')) }));
  });
  const answer = await createClient(url)('/x', { method: 'PATCH', body: { a: 1 }, requestId: 'r1' });
  expect(answer).toEqual({ id: 'r1', method: 'PATCH', body: { a: 1 } });
});

test('tries again while it is asked to come back', async () => {
  let calls = 0;
  const url = await serverOf((_req, res) => {
    calls += 1;
    res.statusCode = calls < 3 ? 503 : 200;
    res.end('{"ok":true}');
  });
  expect(await createClient(url)('/x', { requestId: 'r' })).toEqual({ ok: true });
  expect(calls).toBe(3);
});

test('gives up at once on an error that will not pass, and says which', async () => {
  let calls = 0;
  const url = await serverOf((_req, res) => {
    calls += 1;
    res.writeHead(404).end('{"detail":"There is no such export."}');
  });
  await expect(createClient(url)('/x', { requestId: 'r' })).rejects.toThrow(
    /GET \/x of 127.*: 404 There is no such export/,
  );
  expect(calls).toBe(1);
});

test('takes another token, once, where the one that it has is refused', async () => {
  const refused: (string | undefined)[] = [];
  const token = async (last?: string) => `token-${refused.push(last)}`;
  const url = await serverOf((req, res) => {
    res.writeHead(req.headers.authorization === 'Bearer token-2' ? 200 : 401).end('{"ok":true}');
  });
  expect(await createClient(url, { token })('/x', { requestId: 'r' })).toEqual({ ok: true });
  expect(refused).toEqual([undefined, 'token-1']);
  await expect(createClient(url, { token })('/x', { requestId: 'r' })).rejects.toThrow('401');
  expect(refused.slice(2)).toEqual([undefined, 'token-3']);
});

test('stops trying when it is aborted', async () => {
  const url = await serverOf((_req, res) => void res.writeHead(503).end('{}'));
  const stop = new AbortController();
  const call = createClient(url)('/x', { requestId: 'r', signal: stop.signal });
  stop.abort();
  await expect(call).rejects.toThrow(/abort/);
});

test('stops in the middle of an answer when it is aborted', async () => {
  const stop = new AbortController();
  const url = await serverOf((_req, res) => {
    res.write('{"half":');
    setTimeout(() => stop.abort(), 20);
  });
  await expect(createClient(url)('/x', { requestId: 'r', signal: stop.signal })).rejects.toThrow(/abort/);
});

test('tries again after an answer that broke off, and one that did not come', async () => {
  let calls = 0;
  const url = await serverOf((_req, res) => {
    calls += 1;
    if (calls === 1) res.writeHead(200, { 'content-length': 100 }).write('{"ok":', () => res.destroy());
    if (calls === 3) res.end('{"ok":true}');
  });
  expect(await createClient(url, { timeoutMs: 100, longestPauseMs: 10 })('/x', { requestId: 'r' })).toEqual({
    ok: true,
  });
  expect(calls).toBe(3);
});

test('outlasts a service that is not there yet, and says so of one that never comes', async () => {
  const url = await serverOf((_req, res) => void res.writeHead(204).end());
  const [server] = servers;
  const { port } = server!.address() as AddressInfo;
  await new Promise((resolve) => server!.close(resolve));
  const call = createClient(url)('/x', { requestId: 'r' });
  setTimeout(() => server!.listen(port, '127.0.0.1'), 500);
  expect(await call).toBeUndefined();
  await new Promise((resolve) => (server!.close(resolve), server!.closeAllConnections()));
  const impatient = createClient(url, { longestPauseMs: 10 });
  await expect(impatient('/x', { requestId: 'r' })).rejects.toThrow(`GET /x of 127.0.0.1:${port}: ECONNREFUSED`);
});

test('waits as long as it is asked to, but not for an hour', async () => {
  const at: number[] = [];
  const url = await serverOf((_req, res) => {
    at.push(performance.now());
    res.writeHead(at.length < 3 ? 503 : 200, { 'retry-after': at.length < 2 ? '1' : '3600' }).end('{}');
  });
  await createClient(url, { longestPauseMs: 1500 })('/x', { requestId: 'r' });
  expect(at[1]! - at[0]!).toBeGreaterThan(950);
  expect(at[2]! - at[1]!).toBeLessThan(3000);
});
