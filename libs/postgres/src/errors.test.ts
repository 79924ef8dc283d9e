import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createLogger } from '@keelson/logger';
import { PrismaPg } from '@prisma/adapter-pg';
import { afterAll, describe, expect, test } from 'vitest';
import { isDuplicate, isUnavailable } from './errors.ts';
import { createPool } from './pool.ts';
import { createTestDatabase } from './testing.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const database = await createTestDatabase();
afterAll(database.drop);

/** Asks as services do: over the pool itself, and over Prisma's adapter, which has its own names for errors. */
const askers = [
  ['pg', (url: string, sql: string) => withPool(url, (pool) => pool.query(sql))],
  [
    'Prisma',
    (url: string, sql: string) =>
      withPool(url, async (pool) => (await new PrismaPg(pool).connect()).queryRaw({ sql, args: [], argTypes: [] })),
  ],
] as const;

async function withPool(url: string, act: (pool: ReturnType<typeof createPool>) => Promise<unknown>) {
  const pool = createPool(url, { log });
  const outcome = await act(pool).then(
    () => undefined,
    (error: unknown) => error,
  );
  await pool.end();
  return outcome;
}

const at = (parts: Partial<URL>) => Object.assign(new URL(database.adminUrl), parts).href;
const fail = (code: string) => `DO $$ BEGIN RAISE 'on purpose' USING ERRCODE = '${code}'; END $$`;

describe.for(askers)('by %s', { concurrent: true }, ([, ask]) => {
  test.for([
    ['nobody listens', at({ port: '1' })],
    ['nobody knows the host', at({ hostname: 'nowhere.invalid' })],
    ['the password is another', at({ password: 'another' })],
    ['there is no such database', at({ pathname: '/nowhere' })],
  ])('%s: it is away', async ([, url]) => {
    const error = await ask(url!, 'SELECT 1');
    expect([error, isUnavailable(error)]).toEqual([expect.any(Error), true]);
  });

  test.for<[string, (socket: Socket) => void]>([
    ['hangs up', (socket) => socket.end()],
    ['cuts off', (socket) => socket.resetAndDestroy()],
    ['says nothing', () => undefined],
  ])('a server that %s is away', async ([, treat]) => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => undefined));
      treat(socket);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const error = await ask(at({ host: `127.0.0.1:${(server.address() as AddressInfo).port}` }), 'SELECT 1');
    expect([error, isUnavailable(error)]).toEqual([expect.any(Error), true]);
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });

  test.for([
    ['terminated', 'SELECT pg_terminate_backend(pg_backend_pid())'],
    ['taking too long', 'SET statement_timeout = 50; SELECT pg_sleep(10)'],
    ...['40001', '40P01', '53100', '53200', '53300', '57014', '57P01', '57P03', '25006', '55000', '55P03', '08006'].map(
      (code): [string, string] => [code, fail(code)],
    ),
  ])('%s: it cannot answer now', async ([, sql]) => {
    const error = await ask(database.adminUrl, sql!);
    expect([error, isUnavailable(error)]).toEqual([expect.any(Error), true]);
  });

  test.for([
    'SELEC',
    'SELECT * FROM nowhere',
    'SELECT 1/0',
    "SELECT 'x'::int",
    fail('P0001'),
    fail('23505'),
    fail('XX000'),
  ])('it answers, though with an error, to %s', async (sql) => {
    const error = await ask(database.adminUrl, sql);
    expect([error, isUnavailable(error)]).toEqual([expect.any(Error), false]);
  });

  test('a duplicate is told from the rest', async () => {
    expect(
      isDuplicate(await ask(database.adminUrl, 'CREATE TEMP TABLE t (id int UNIQUE); INSERT INTO t VALUES (1), (1)')),
    ).toBe(true);
    expect(isDuplicate(await ask(database.adminUrl, fail('23503')))).toBe(false);
  });
});

test.concurrent('no connection free within 2 s: it cannot answer now', async () => {
  const pool = createPool(database.adminUrl, { log, max: 1 });
  const held = await pool.connect();
  const error = await pool.query('SELECT 1').catch((error: unknown) => error);
  held.release();
  await pool.end();
  expect([error, isUnavailable(error)]).toEqual([expect.any(Error), true]);
});

test.for([undefined, null, 'ECONNREFUSED', 7, new Error('x'), new TypeError('y'), { code: 503 }, { message: 5 }])(
  '%s is nothing of the database',
  (error) => {
    expect([isUnavailable(error), isDuplicate(error)]).toEqual([false, false]);
  },
);
