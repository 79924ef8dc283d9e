import { connect, createServer, type AddressInfo } from 'node:net';
import { expect, inject, test } from 'vitest';
import { waitForPostgres } from './ready.ts';

test('an open port is not a ready database; the sentence has the place and the reason, not the password', async () => {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const said: string[] = [];
  const wait = waitForPostgres(`postgresql://me:hunter2@127.0.0.1:${port}/keelson`, {
    seconds: 1,
    say: (line) => said.push(line),
  });
  await expect(wait).rejects.toThrow(
    `Postgres at 127.0.0.1:${port}/keelson as me did not answer within 1 s: Connection terminated`,
  );
  expect(said.join('\n')).toContain(`waiting for Postgres at 127.0.0.1:${port}/keelson as me`);
  expect(said.join('\n')).not.toContain('hunter2');
  server.close();
});

test('returns once a query is answered', async () => {
  await waitForPostgres(inject('postgresUrl'), { seconds: 5, say: () => undefined });
});

test('is patient with a database that takes seconds to let anybody in', async () => {
  const { hostname, port } = new URL(inject('postgresUrl'));
  const server = createServer((socket) => {
    setTimeout(() => socket.pipe(connect(Number(port), hostname)).pipe(socket), 3000);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(inject('postgresUrl'));
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  await waitForPostgres(url.href, { seconds: 8, say: () => undefined });
  server.close();
});
