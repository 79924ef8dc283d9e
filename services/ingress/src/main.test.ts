import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');

let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

function start(env: Record<string, string>) {
  const ingress = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child = ingress;
  let output = '';
  for (const stream of [ingress.stdout, ingress.stderr]) stream.on('data', (chunk) => (output += chunk));
  return {
    ended: once(ingress, 'close').then(([code]) => ({ code, output })),
    said: async (words: string) => {
      while (!output.includes(words)) await once(ingress.stdout, 'data');
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return String(port);
}

test('listens, and on SIGTERM ends with 0, cutting off what goes on for longer than SHUTDOWN_MS', async () => {
  const [PORT, TLS_PORT] = [await freePort(), await freePort()];
  const { ended, said } = start({ PORT, TLS_PORT, SHUTDOWN_MS: '300' });
  await said('listening');
  expect((await fetch(`http://127.0.0.1:${PORT}/a`, { redirect: 'manual' })).headers.get('location')).toBe(
    'https://127.0.0.1/a',
  );
  const silent = connect(Number(TLS_PORT), '127.0.0.1').on('error', () => undefined);
  await once(silent, 'connect');
  const cut = once(silent, 'close');
  const signalled = performance.now();
  child!.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, output: expect.stringContaining('"signal":"SIGTERM"') });
  await cut;
  expect(performance.now() - signalled).toBeGreaterThan(300);
});

test('says which port it cannot have', async () => {
  const taken = createServer().listen(0, '0.0.0.0');
  await once(taken, 'listening');
  const TLS_PORT = String((taken.address() as AddressInfo).port);
  const { ended } = start({ PORT: await freePort(), TLS_PORT });
  expect(await ended).toMatchObject({ code: 1, output: expect.stringContaining(`EADDRINUSE`) });
  taken.close();
});

test('says what is wrong with its environment', async () => {
  const { ended } = start({ TLS_PORT: 'https', CLIENT_CONNECTIONS: '0' });
  const { code, output } = await ended;
  expect(code).toBe(78);
  expect(output).toContain('TLS_PORT must be a whole number from 0 to 65535');
  expect(output).toContain('CLIENT_CONNECTIONS must be a whole number from 1 to 100000');
});
