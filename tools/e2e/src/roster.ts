import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { call, json } from './api.ts';

export type NewWorker = { name: string; role: string; email: string; hiredOn: string };
export type Worker = NewWorker & { id: string; createdAt: string; updatedAt: string };
export type Page<T> = { items: T[]; nextCursor: string | null };

/** A word that no other run, and nothing else on the stack, has: it marks what a test makes. */
export const unique = () => `e2e-${randomBytes(6).toString('hex')}`;

export const newWorker = (fields: Partial<NewWorker> = {}): NewWorker => ({
  name: 'Ada Lovelace',
  role: unique(),
  email: `${unique()}@example.com`,
  hiredOn: '2020-02-29',
  ...fields,
});

export async function hire(fields: Partial<NewWorker> = {}): Promise<Worker> {
  const answer = await call('POST', '/api/v1/workers', { json: newWorker(fields) });
  expect(answer.status, answer.text).toBe(201);
  return json<Worker>(answer);
}

/** Workers one after the other: their ids tell the order in which they were made. */
export async function hireAll(all: Partial<NewWorker>[]): Promise<Worker[]> {
  const workers = [];
  for (const fields of all) workers.push(await hire(fields));
  return workers;
}

/** The pages of a list from the first to the last. `path` has a query already. */
export async function* pages<T>(path: string): AsyncGenerator<T[]> {
  for (let cursor: string | null = ''; cursor !== null;) {
    const answer = await call('GET', cursor ? `${path}&cursor=${encodeURIComponent(cursor)}` : path);
    expect(answer.status, answer.text).toBe(200);
    const page: Page<T> = json(answer);
    yield page.items;
    cursor = page.nextCursor;
  }
}

export async function listed<T = Worker>(path: string): Promise<T[]> {
  const all: T[] = [];
  for await (const items of pages<T>(path)) all.push(...items);
  return all;
}
