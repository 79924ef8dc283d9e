import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { exchange } from './exchange.ts';
import { originOf } from './target.ts';

test('a kept connection is left when the server said that it would close it soon', async () => {
  const server = createServer({ keepAliveTimeout: 60_000 }, (_, res) => res.setHeader('Keep-Alive', 'timeout=2').end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const left = once(server, 'connection').then(([connection]) => once(connection, 'close'));
  const origin = originOf({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const sent = { method: 'GET', path: '/', headers: {} };
  const call = { origin, sent, slow: undefined, slowMs: 0, timeoutMs: 1000, opened: () => undefined };
  await exchange({ ...call, agent: origin.agent(true) });
  const start = performance.now();
  await left;
  expect(performance.now() - start).toBeLessThan(2000);
  server.close();
});
