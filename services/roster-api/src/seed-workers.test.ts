import { createTestDatabase } from '@keelson/postgres/testing';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';
import { seedWorkers } from './seed-workers.ts';

const database = await createTestDatabase();
const { call, db, stop } = await startApi(database.url);
afterAll(async () => {
  await stop();
  await database.drop();
});
beforeEach(() => db.worker.deleteMany());

const seed = (rows: number) => seedWorkers(database.url, rows, () => undefined);
const roster = () => db.worker.findMany({ orderBy: { id: 'asc' }, omit: { createdAt: true, updatedAt: true } });

test('a seeded roster is always the same, and those that are there stay', async () => {
  expect(await seed(100)).toBe(100);
  const first = await roster();
  await db.worker.update({ where: { id: first[0]!.id }, data: { name: 'Renamed' } });
  expect(await seed(100)).toBe(0);
  expect((await roster())[0]!.name).toBe('Renamed');
  await db.worker.deleteMany();
  expect(await seed(150)).toBe(150);
  expect((await roster()).slice(0, 100)).toEqual(first);
});

test('what it adds is what the API would take', async () => {
  await seed(200);
  const { body } = await call('GET', '/api/v1/workers?limit=200');
  expect(body.items).toHaveLength(200);
  await db.worker.deleteMany();
  for (const { name, role, email, hiredOn } of body.items.slice(0, 20))
    expect((await call('POST', '/api/v1/workers', { json: { name, role, email, hiredOn } })).status).toBe(201);
  expect(new Set(body.items.map(({ role }: { role: string }) => role)).size).toBeGreaterThan(5);
  expect(new Set(body.items.map(({ hiredOn }: { hiredOn: string }) => hiredOn)).size).toBeGreaterThan(150);
});

test('large ones come in parts, and say how far they are', { timeout: 20_000 }, async () => {
  const said: number[] = [];
  expect(await seedWorkers(database.url, 50_001, (done) => said.push(done))).toBe(50_001);
  expect(said).toEqual([50_000, 50_001]);
  expect(await db.worker.count()).toBe(50_001);
});
