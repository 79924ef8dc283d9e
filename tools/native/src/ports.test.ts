import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { freePorts, listenLocally, type Listening } from './ports.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function listen(port = 0): Promise<Listening> {
  const listening = await listenLocally(
    createServer((_req, res) => res.end('here')),
    port,
  );
  open.push(listening);
  return listening;
}

test('every free port is another one', async () => {
  expect(new Set(await freePorts(5)).size).toBe(5);
});

test.each(['127.0.0.1', '[::1]', 'localhost'])('%s answers', async (host) => {
  const { port } = await listen();
  expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe('here');
});

test.each(['127.0.0.1', '::1', '0.0.0.0', '::'])('a port that is taken on %s is a sentence', async (host) => {
  const other = createServer().listen(0, host);
  open.push(other);
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  await expect(listen(port)).rejects.toThrow(
    `port ${port} is taken by another program: stop it, or choose another with PORT=…`,
  );
});

test('close ends connections that stay open', async () => {
  const listening = await listenLocally(
    createServer((_req, res) => res.write('for ever')),
    0,
  );
  const answer = await fetch(`http://localhost:${listening.port}/`);
  const began = Date.now();
  await listening.close();
  expect(Date.now() - began).toBeLessThan(2000);
  await expect(answer.text()).rejects.toThrow();
  await expect(fetch(`http://localhost:${listening.port}/`)).rejects.toThrow();
});
