import { randomUUID } from 'node:crypto';
import { complaints } from '@keelson/http/testing';
import { connection } from '@keelson/postgres';
import { createTestDatabase } from '@keelson/postgres/testing';
import { Client } from 'pg';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';

type Worker = { id: string; name: string; role: string; hiredOn: string };

const PATH = '/api/v1/workers';
const database = await createTestDatabase();
const { call, db, stop } = await startApi(database.url);
afterAll(async () => {
  await stop();
  await database.drop();
});
beforeEach(() => db.worker.deleteMany());

/** Adds workers past the API, which is quicker. */
async function add(rows: { name?: string; role?: string; hiredOn?: string }[]): Promise<string[]> {
  const data = rows.map(({ hiredOn = '2020-01-01', ...row }) => ({
    ...{ name: 'Nemo', role: 'cook', email: `${randomUUID()}@example.com`, hiredOn: new Date(hiredOn) },
    ...row,
  }));
  return (await db.worker.createManyAndReturn({ data })).map(({ id }) => id);
}

async function page(query: string): Promise<{ items: Worker[]; nextCursor: string | null }> {
  const { status, body, text } = await call('GET', `${PATH}?${query}`);
  expect(status, text).toBe(200);
  return body;
}

async function* pages(query: string) {
  for (let next: string | null = ''; next !== null;) {
    const { items, nextCursor } = await page(`${query}${next && `&cursor=${next}`}`);
    yield items;
    next = nextCursor;
  }
}

async function all(query: string) {
  const seen: Worker[] = [];
  for await (const items of pages(query)) seen.push(...items);
  return seen;
}

const names = async (query: string) => (await page(query)).items.map(({ name }) => name).sort();

test('without workers is empty', async () => {
  expect(await page('')).toEqual({ items: [], nextCursor: null });
});

describe('the length of a page', () => {
  test('is 50 unless asked otherwise, and at most 200', async () => {
    await add(Array(201).fill({}));
    for (const [query, length] of [
      ['', 50],
      ['limit=1', 1],
      ['limit=200', 200],
    ] as const) {
      const { items, nextCursor } = await page(query);
      expect([query, items.length, typeof nextCursor]).toEqual([query, length, 'string']);
    }
  });

  test('may be all there is: then there is no next page', async () => {
    await add(Array(3).fill({}));
    expect(await page('limit=3')).toMatchObject({ items: { length: 3 }, nextCursor: null });
    expect(await page('limit=2')).toMatchObject({ items: { length: 2 }, nextCursor: expect.any(String) });
  });
});

describe('page after page', () => {
  const ABC = ['a', 'b', 'c'];
  const DAYS = ['2020-01-01', '2020-01-02', '2020-01-03'];
  /** Every third is equal in what lists are sorted by, so that pages end between equals. */
  const crew = (length: number) =>
    Array.from({ length }, (_, index) => ({ name: ABC[index % 3]!, hiredOn: DAYS[index % 3]! }));

  const orders: [sort: string, key: (worker: Worker) => string, direction: 1 | -1][] = [
    ['id', ({ id }) => id, 1],
    ['name', ({ name, id }) => name + id, 1],
    ['-name', ({ name, id }) => name + id, -1],
    ['hiredOn', ({ hiredOn, id }) => hiredOn + id, 1],
    ['-hiredOn', ({ hiredOn, id }) => hiredOn + id, -1],
  ];

  test.for(orders)('by %s shows everybody once and in order', async ([sort, key, direction]) => {
    const everybody = await add(crew(20));
    for (const limit of [1, 3, 19, 20]) {
      const seen = await all(`sort=${sort}&limit=${limit}`);
      expect(seen.map(({ id }) => id).sort()).toEqual(everybody.toSorted());
      expect(seen.map(key)).toEqual(direction === 1 ? seen.map(key).sort() : seen.map(key).sort().reverse());
    }
  });

  test.for(orders)('by %s has no gaps and no doubles while others come and go', async ([sort]) => {
    const stay = await add(crew(15));
    const leave = await add(crew(12));
    const seen: string[] = [];
    for await (const items of pages(`sort=${sort}&limit=4`)) {
      seen.push(...items.map(({ id }) => id));
      await add(crew(3));
      // One that was seen (at best the very one the cursor names), and one that was not.
      const gone = [seen.findLast((id) => leave.includes(id)), leave.find((id) => !seen.includes(id))];
      await db.worker.deleteMany({ where: { id: { in: gone.filter((id) => id !== undefined) } } });
      leave.splice(0, leave.length, ...leave.filter((id) => !gone.includes(id)));
      if (seen.length > 60) break; // by id, those who came are always ahead
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(stay.filter((id) => !seen.includes(id))).toEqual([]);
  });

  test('keeps to the filter', async () => {
    await add([{ name: 'b' }, { name: 'a' }, { name: 'c', role: 'mate' }, { name: 'ab' }, { name: 'd' }]);
    const seen = await all('sort=-name&limit=1&role=cook&search=a');
    expect(seen.map(({ name }) => name)).toEqual(['ab', 'a']);
  });

  test('does not go on in another order', async () => {
    await add(crew(4));
    for (const [sort] of orders) {
      const { nextCursor } = await page(`sort=${sort}&limit=2`);
      for (const [other] of orders.filter(([other]) => other !== sort)) {
        const answer = await call('GET', `${PATH}?sort=${other}&cursor=${nextCursor}`);
        expect([sort, other, answer.status]).toEqual([sort, other, 400]);
        expect(complaints(answer)).toEqual(['query cursor']);
      }
    }
  });

  test.for(orders)('by %s begins where the page before ended, instead of skipping what came before', async ([sort]) => {
    await add(crew(4));
    const { nextCursor } = await page(`sort=${sort}&limit=2`);
    await page(`sort=${sort}&limit=2&cursor=${nextCursor}`);
    expect(await planOfLastQuery()).toMatch(/Index Cond: .*("hiredOn"|name|id) [<>]=? /);
  });
});

describe('a filter', () => {
  test('by role takes it to the letter', async () => {
    await add([{ name: 'one' }, { name: 'two', role: 'cooks' }, { name: 'three', role: 'Cook' }]);
    expect(await names('role=cook')).toEqual(['one']);
    expect(await names('role=coo%')).toEqual([]);
  });

  test.for([
    ['ann', ['100 Ann', '100% Ann', 'a\\b Ann', 'a_b Ann', 'axb Ann']],
    ['0% a', ['100% Ann']],
    ['%', ['100% Ann']],
    ['_', ['a_b Ann']],
    ['a_b', ['a_b Ann']],
    ['\\', ['a\\b Ann']],
    ['a\\b', ['a\\b Ann']],
    ['%Ann', []],
    ["'", ["O'Neil"]],
    ['ÉLO', ['Héloïse']],
    ['船', ['船 ⚓']],
    ['⚓', ['船 ⚓']],
  ] as const)('by name finds %j where it is, in any case', async ([text, found]) => {
    const crew = ['100% Ann', '100 Ann', 'a_b Ann', 'axb Ann', 'a\\b Ann', "O'Neil", 'Héloïse', '船 ⚓'];
    await add(crew.map((name) => ({ name })));
    expect(await names(`search=${encodeURIComponent(text)}`)).toEqual(found);
  });
});

/** How Postgres would run the last query that the API sent, if there were many rows. */
async function planOfLastQuery() {
  const client = new Client(connection(database.url));
  await client.connect();
  const { rows } = await client.query(`
    SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    ORDER BY state_change DESC LIMIT 1`);
  await client.query('SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off');
  const plan = await client.query(`EXPLAIN (GENERIC_PLAN) ${rows[0].query}`);
  await client.end();
  return plan.rows.map((row) => row['QUERY PLAN']).join('\n');
}
