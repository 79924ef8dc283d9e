import type { Answer } from '@keelson/http/testing';
import { createTestDatabase } from '@keelson/postgres/testing';
import { faultsOf } from '@keelson/openapi';
import { Client } from 'pg';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { MIGRATIONS, startApi } from './checked-api.ts';

const SERVICE = { service: 'roster-api', version: '1.2.3', commit: 'abc1234', build: '42' };
const NOBODY = '01890000-0000-7000-8000-000000000000';
const ada = { name: 'Ada Lovelace', role: 'engineer', email: 'ada@example.com', hiredOn: '2020-02-29' };

const database = await createTestDatabase();
const api = await startApi(database.url);
const { call, db } = api;
const name = new URL(database.url).pathname.slice(1);
/** In another database: it stays connected while this one is away. */
const admin = new Client(Object.assign(new URL(database.adminUrl), { pathname: '/postgres' }).href);
await admin.connect();
afterAll(async () => {
  await api.stop();
  await admin.end();
  await database.drop();
});
beforeEach(() => db.worker.deleteMany());

/** All but who holds a lock, whose end would let those that wait for it go on before theirs. */
const disconnect = () =>
  admin.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name <> 'holder'",
    [name],
  );
const statusOf = async (path: string) => (await call('GET', path)).status;

/** One request of each kind: a read, a write, transactions, one that begins with raw SQL. */
const requests = (ask = call) => [
  ask('GET', '/api/v1/workers'),
  ask('GET', `/api/v1/workers/${NOBODY}`),
  ask('PATCH', `/api/v1/workers/${NOBODY}`, { json: { role: 'cook' }, headers: { 'if-match': '"1"' } }),
  ask('DELETE', `/api/v1/workers/${NOBODY}`),
  ask('POST', '/api/v1/workers', { json: ada }),
  ask('POST', '/api/v1/workers', { json: ada, headers: { 'idempotency-key': 'k' } }),
  ask('POST', '/api/v1/exports'),
  ask('GET', `/api/v1/exports/${NOBODY}/file`),
  ask('PATCH', `/internal/v1/exports/${NOBODY}`, { json: { state: 'running', rowsDone: 0 } }),
];

function expectUnavailable(answers: Answer[]) {
  for (const { status, headers, body } of answers) {
    expect([status, body.detail]).toEqual([
      503,
      'The service gets no answer from its database in time. Try again in a moment.',
    ]);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  }
}

describe('health', () => {
  test('says that the process lives, and what it is', async () => {
    const { status, body } = await call('GET', '/healthz');
    expect([status, body]).toEqual([200, { status: 'ok', ...SERVICE }]);
  });

  test('is ready with its database, its migrations and its port', async () => {
    const { status, body } = await call('GET', '/readyz');
    expect([status, body]).toEqual([200, { status: 'ready', ...SERVICE }]);
  });

  test('is not ready before its migrations are applied, and names the first that lacks', async () => {
    const migrations = [...MIGRATIONS, '29991231000000_next', '29991231000001_last'];
    const newer = await startApi(database.url, { migrations });
    const { status, body } = await newer.call('GET', '/readyz');
    const reason = 'the database lacks the migration 29991231000000_next';
    expect([status, body]).toEqual([503, { status: 'unavailable', reason, ...SERVICE }]);
    expect((await newer.call('GET', '/healthz')).status).toBe(200);
    await newer.stop();
  });

  test('is not ready with a database that was never migrated', async () => {
    const empty = await startApi(`${database.url.split('?')[0]}?schema=nowhere`);
    const { status, body } = await empty.call('GET', '/readyz');
    expect([status, body.reason]).toEqual([503, `the database lacks the migration ${MIGRATIONS[0]}`]);
    await empty.stop();
  });

  test('is not ready once it closes, but answers all the same', async () => {
    const closing = await startApi(database.url);
    closing.app.locals['draining'] = true;
    const { status, body } = await closing.call('GET', '/readyz');
    expect([status, body.reason]).toEqual([503, 'the service is shutting down']);
    expect((await closing.call('GET', '/healthz')).status).toBe(200);
    const { status: answered, headers } = await closing.call('GET', '/api/v1/workers');
    expect([answered, headers.connection]).toEqual([200, 'close']);
    await closing.stop();
  });
});

describe('the description', () => {
  test('is valid OpenAPI, and leaves out what services tell each other', async () => {
    const { body } = await call('GET', '/api/v1/openapi/roster-api.json');
    expect((await call('GET', '/api/v1/openapi.json')).body).toEqual(body);
    expect(faultsOf(body)).toEqual([]);
    expect(Object.keys(body.paths).filter((path) => !path.startsWith('/api/v1/'))).toEqual([]);
  });

  test('requires what the service requires', async () => {
    const { body } = await call('GET', '/api/v1/openapi.json');
    const operations = Object.values(body.paths).flatMap((path) => Object.values(path as Record<string, Operation>));
    const parameters = operations.flatMap((operation) => operation.parameters ?? []);
    expect(new Set(parameters.filter(({ required }) => required).map((parameter) => parameter.in))).toEqual(
      new Set(['path']),
    );
    const bodyOf = (method: string, path: string) => body.paths[`/api/v1/${path}`][method].requestBody.required;
    expect(bodyOf('post', 'workers')).toBe(true);
    expect(bodyOf('patch', 'workers/{id}')).toBe(false);
    expect(bodyOf('post', 'exports')).toBe(false);
  });
});
type Operation = { parameters?: { in: string; required?: boolean }[] };

describe('a database that is away', () => {
  test('is a 503 for every request, and none for those that do not need it', async () => {
    const nobody = await startApi(Object.assign(new URL(database.url), { port: '1' }).href);
    expectUnavailable(await Promise.all(requests(nobody.call)));
    const { status, body } = await nobody.call('GET', '/readyz');
    expect([status, body]).toMatchObject([503, { reason: expect.stringContaining('ECONNREFUSED'), ...SERVICE }]);
    expect((await nobody.call('GET', '/healthz')).status).toBe(200);
    expect((await nobody.call('GET', '/api/v1/workers/abc')).status).toBe(400);
    expect((await nobody.call('POST', '/api/v1/workers', { json: {} })).status).toBe(422);
    await nobody.stop();
    const password = new URL(database.url).password;
    expect(nobody.lines.filter(({ err }) => err)).toHaveLength(9);
    expect(JSON.stringify(nobody.lines)).not.toContain(`:${password}@`);
  });

  test('may go at any time, and comes back by itself', async () => {
    await call('POST', '/api/v1/workers', { json: { ...ada, email: 'grace@example.com' } });
    await whileDatabase('ALLOW_CONNECTIONS false', 'ALLOW_CONNECTIONS true', async () => {
      expectUnavailable(await Promise.all(requests()));
      const { status, body } = await call('GET', '/readyz');
      expect([status, body.reason]).toEqual([503, `database "${name}" is not currently accepting connections`]);
      expect(await statusOf('/healthz')).toBe(200);
    });
    expect(await statusOf('/readyz')).toBe(200);
    expect((await call('GET', '/api/v1/workers')).body.items).toHaveLength(1);
    expect((await call('POST', '/api/v1/workers', { json: ada })).status).toBe(201);
  });

  test('may go while it works: nothing is half done', async () => {
    await whileLocked('Worker', async () => {
      const read = call('GET', '/api/v1/workers');
      const write = call('POST', '/api/v1/workers', { json: ada, headers: { 'idempotency-key': 'gone' } });
      await waiting(2);
      await disconnect();
      expectUnavailable(await Promise.all([read, write]));
    });
    expect((await call('GET', '/api/v1/workers')).body.items).toEqual([]);
    const again = await call('POST', '/api/v1/workers', { json: ada, headers: { 'idempotency-key': 'gone' } });
    expect([again.status, again.headers['idempotency-replayed']]).toEqual([201, undefined]);
  });

  test('may be too busy: a query has 3 s, a connection 2 s to come', async () => {
    await whileLocked('Worker', async () => {
      const queued = Array.from({ length: 11 }, (_, index) =>
        index % 2 ? call('GET', '/api/v1/workers') : call('POST', '/api/v1/workers', { json: ada }),
      );
      await waiting(10);
      const ready = await call('GET', '/readyz');
      expect([ready.status, ready.body.reason]).toEqual([503, 'timeout exceeded when trying to connect']);
      expectUnavailable(await Promise.all(queued));
    });
    expect(await statusOf('/readyz')).toBe(200);
  });

  test('may have no connection left', async () => {
    await whileDatabase('CONNECTION LIMIT 0', 'CONNECTION LIMIT -1', async () => {
      expectUnavailable(await Promise.all(requests()));
    });
    expect(await statusOf('/api/v1/workers')).toBe(200);
  });
});

/** While the database is altered, and nobody connected to it. */
async function whileDatabase(altered: string, back: string, act: () => Promise<void>) {
  await admin.query(`ALTER DATABASE ${name} ${altered}`);
  await disconnect();
  await act().finally(() => admin.query(`ALTER DATABASE ${name} ${back}`));
}

/** While another session holds the table. */
async function whileLocked(table: string, act: () => Promise<void>) {
  const holder = new Client({ connectionString: database.adminUrl, application_name: 'holder' });
  holder.on('error', () => undefined);
  await holder.connect();
  await holder.query(`BEGIN; LOCK TABLE roster."${table}"`);
  await act().finally(() => holder.end());
}

/** Until so many queries wait for a lock. */
async function waiting(count: number) {
  const locks = () =>
    admin.query("SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'", [name]);
  await expect.poll(async () => (await locks()).rowCount).toBe(count);
}
