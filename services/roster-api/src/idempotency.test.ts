import { complaints } from '@keelson/http/testing';
import { createTestDatabase } from '@keelson/postgres/testing';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';

const PATH = '/api/v1/workers';
const ada = { name: 'Ada Lovelace', role: 'engineer', email: 'ada@example.com', hiredOn: '2020-02-29' };

const database = await createTestDatabase();
const { call, db, stop } = await startApi(database.url);
afterAll(async () => {
  await stop();
  await database.drop();
});
beforeEach(async () => {
  await db.worker.deleteMany();
  await db.idempotentAnswer.deleteMany();
});

const post = (key: string, json: object) => call('POST', PATH, { json, headers: { 'idempotency-key': key } });
const statuses = (answers: { status: number }[]) => answers.map(({ status }) => status).sort();

test('the first answer is given again, whatever became of the worker', async () => {
  const first = await post('k', ada);
  expect([first.status, first.headers['idempotency-replayed']]).toEqual([201, undefined]);
  await call('DELETE', first.headers.location!);
  const again = await post('k', ada);
  expect([again.status, again.headers['idempotency-replayed'], again.text]).toEqual([201, 'true', first.text]);
  for (const name of ['location', 'etag', 'content-type']) expect(again.headers[name]).toBe(first.headers[name]);
  expect(await db.worker.count()).toBe(0);
});

test('what means the same is the same request', async () => {
  const first = await post('k', ada);
  const { name, ...rest } = ada;
  expect((await post('k', { ...rest, email: 'ADA@example.com', name: ` ${name}` })).text).toBe(first.text);
});

test('another request with the key is refused', async () => {
  await post('k', ada);
  const other = await post('k', { ...ada, email: 'grace@example.com' });
  expect(other.status).toBe(422);
  expect(complaints(other)).toEqual(['header idempotency-key']);
  expect(await db.worker.count()).toBe(1);
});

test('of ten at once, one makes the worker and all get its answer', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => post('k', ada)));
  expect(statuses(answers)).toEqual(Array(10).fill(201));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers['idempotency-replayed'])).toHaveLength(9);
  expect(await db.worker.count()).toBe(1);
});

test('of two different ones at once, one is refused', async () => {
  const answers = await Promise.all([post('k', ada), post('k', { ...ada, email: 'grace@example.com' })]);
  expect(statuses(answers)).toEqual([201, 422]);
  expect(await db.worker.count()).toBe(1);
});

test('a key whose request was refused is free', async () => {
  const { path } = await call('POST', PATH, { json: ada }).then(({ headers }) => ({ path: headers.location! }));
  expect((await post('k', { ...ada, hiredOn: 'yesterday' })).status).toBe(422);
  expect((await post('k', ada)).status).toBe(409);
  expect(statuses(await Promise.all(Array.from({ length: 5 }, () => post('k', ada))))).toEqual(Array(5).fill(409));
  await call('DELETE', path);
  const answer = await post('k', ada);
  expect([answer.status, answer.headers['idempotency-replayed']]).toEqual([201, undefined]);
});

test('one that waits for a first that fails is served in its place', async () => {
  await call('POST', PATH, { json: ada });
  let second!: ReturnType<typeof post>;
  await db.$transaction(async (tx) => {
    // Until this ends, nobody knows whether the address is taken: the first stops there, with its key in hand.
    await tx.worker.updateMany({ data: { email: 'grace@example.com' } });
    const first = post('k', ada);
    const [inserting] = await waiting(1);
    second = post('k', ada);
    await waiting(2);
    await tx.$queryRaw`SELECT pg_terminate_backend(${inserting!.pid}::int)`;
    expect((await first).status).toBe(503);
  });
  const { status, headers } = await second;
  expect([status, headers['idempotency-replayed']]).toEqual([201, undefined]);
});

test('a key is forgotten after a day, a few with every request', async () => {
  const first = await post('k', ada);
  const old = new Date(Date.now() - 25 * 3600_000);
  await db.idempotentAnswer.updateMany({ data: { createdAt: old } });
  await call('DELETE', first.headers.location!);
  expect((await post('k', ada)).headers['idempotency-replayed']).toBeUndefined();

  const answer = { operation: 'x', fingerprint: '', status: 1, headers: {}, body: {}, createdAt: old };
  await db.idempotentAnswer.createMany({
    data: Array.from({ length: 150 }, (_, key) => ({ ...answer, key: `${key}` })),
  });
  await post('other', { ...ada, email: 'grace@example.com' });
  const left = await db.idempotentAnswer.count({ where: { operation: 'x' } });
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(150);
});

test.for(['', 'x'.repeat(256), 'has space', 'café'])('the key %j is refused', async (key) => {
  const answer = await post(key, ada);
  expect(answer.status).toBe(400);
  expect(complaints(answer)).toEqual(['header idempotency-key']);
});

/** Until so many queries wait for a lock. */
async function waiting(count: number) {
  const locks = () => db.$queryRaw<{ pid: number }[]>`
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await expect.poll(async () => (await locks()).length).toBe(count);
  return locks();
}
