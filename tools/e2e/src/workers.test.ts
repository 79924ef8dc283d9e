import { describe, expect, test } from 'vitest';
import { call, complaints, json } from './api.ts';
import { hire, hireAll, listed, newWorker, pages, unique, type Page, type Worker } from './roster.ts';

const at = ({ id }: { id: string }) => `/api/v1/workers/${id}`;
const names = (workers: Worker[]) => workers.map(({ name }) => name);
const ids = (things: { id: string }[]) => things.map(({ id }) => id);
/** Workers made in the same millisecond may have their ids in any order. */
const byId = (workers: Worker[]) => workers.toSorted((a, b) => (a.id < b.id ? -1 : 1));
const statuses = (answers: { status: number }[]) => answers.map(({ status }) => status).toSorted();

async function etagOf(worker: Worker) {
  const { headers } = await call('GET', at(worker));
  expect(headers.etag).toMatch(/^"[^"]+"$/);
  return headers.etag!;
}

describe('one worker', () => {
  test('is made, read, changed and removed', async () => {
    const wanted = newWorker({ name: 'Zoë “Ω” 船', hiredOn: '1999-12-31' });
    const made = await call('POST', '/api/v1/workers', { json: wanted });
    expect(made.status).toBe(201);
    const worker = json<Worker>(made);
    expect(worker).toEqual({ ...wanted, id: worker.id, createdAt: worker.createdAt, updatedAt: worker.updatedAt });
    expect(worker.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(made.headers.location).toBe(at(worker));

    const read = await call('GET', at(worker));
    expect(json(read)).toEqual(worker);
    expect(read.headers.etag).toBe(made.headers.etag);

    const changed = await call('PATCH', at(worker), { json: { role: 'captain' } });
    expect(changed.status).toBe(200);
    expect(json(changed)).toEqual({ ...worker, role: 'captain', updatedAt: json<Worker>(changed).updatedAt });
    expect(Date.parse(json<Worker>(changed).updatedAt)).toBeGreaterThanOrEqual(Date.parse(worker.updatedAt));
    expect(changed.headers.etag).not.toBe(made.headers.etag);
    expect(json(await call('GET', at(worker)))).toEqual(json(changed));

    const removed = await call('DELETE', at(worker));
    expect(removed.status).toBe(204);
    for (const method of ['GET', 'DELETE'] as const) expect((await call(method, at(worker))).status).toBe(404);
    expect((await call('PATCH', at(worker), { json: { role: 'cook' } })).status).toBe(404);
  });

  test('takes every field that a change names', async () => {
    const worker = await hire();
    const fields = newWorker({ name: 'Grace Hopper', hiredOn: '2024-02-29' });
    expect(json(await call('PATCH', at(worker), { json: fields }))).toMatchObject(fields);
  });

  test('answers HEAD as GET, without the body', async () => {
    const worker = await hire();
    const [get, head] = [await call('GET', at(worker)), await call('HEAD', at(worker))];
    expect(head.status).toBe(200);
    expect(head.bytes).toHaveLength(0);
    for (const name of ['etag', 'content-type']) expect(head.headers[name]).toBe(get.headers[name]);
  });

  test('has an address of its own for e-mail', async () => {
    const [worker, other] = await hireAll([{}, {}]);
    const again = await call('POST', '/api/v1/workers', { json: newWorker({ email: worker!.email }) });
    expect(again.status).toBe(409);
    expect((await call('PATCH', at(other!), { json: { email: worker!.email } })).status).toBe(409);
    expect(json(await call('GET', at(other!)))).toEqual(other);
  });

  test('is made once when many ask for the same e-mail address at once', async () => {
    const email = `${unique()}@example.com`;
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => call('POST', '/api/v1/workers', { json: newWorker({ email }) })),
    );
    expect(statuses(answers)).toEqual([201, ...Array(9).fill(409)]);
  });

  test('that never was is not found', async () => {
    expect((await call('GET', '/api/v1/workers/01890000-0000-7000-8000-000000000000')).status).toBe(404);
  });
});

describe('entity tags', () => {
  test('spare the client what it already has', async () => {
    const worker = await hire();
    const etag = await etagOf(worker);
    for (const held of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await call('GET', at(worker), { headers: { 'if-none-match': held } });
      expect([held, answer.status, answer.bytes.length]).toEqual([held, 304, 0]);
      expect(answer.headers.etag).toBe(etag);
    }
    expect((await call('GET', at(worker), { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  });

  test('refuse a change to what has changed since', async () => {
    const worker = await hire();
    const etag = await etagOf(worker);
    const first = await call('PATCH', at(worker), { json: { role: 'cook' }, headers: { 'if-match': etag } });
    expect(first.status).toBe(200);
    const second = await call('PATCH', at(worker), { json: { role: 'mate' }, headers: { 'if-match': etag } });
    expect(second.status).toBe(412);
    expect((await call('DELETE', at(worker), { headers: { 'if-match': etag } })).status).toBe(412);
    expect(json(await call('GET', at(worker)))).toEqual(json(first));

    const any = await call('PATCH', at(worker), { json: { role: 'mate' }, headers: { 'if-match': '*' } });
    expect(any.status).toBe(200);
    const removed = await call('DELETE', at(worker), { headers: { 'if-match': `"other", ${any.headers.etag}` } });
    expect(removed.status).toBe(204);
  });

  test('let one of many changes through', async () => {
    const worker = await hire();
    const etag = await etagOf(worker);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        call('PATCH', at(worker), { json: { name: `Nemo ${index}` }, headers: { 'if-match': etag } }),
      ),
    );
    expect(statuses(answers)).toEqual([200, ...Array(9).fill(412)]);
    expect(json(await call('GET', at(worker)))).toEqual(json(answers.find(({ status }) => status === 200)!));
  });

  test('hold for a client that takes compressed answers', async () => {
    const worker = await hire();
    const zipped = await call('HEAD', at(worker), { headers: { 'accept-encoding': 'gzip, br' } });
    const headers = { 'if-match': zipped.headers.etag! };
    expect((await call('PATCH', at(worker), { json: { role: 'cook' }, headers })).status).toBe(200);
  });
});

describe('Idempotency-Key', () => {
  const post = (key: string, json: unknown) =>
    call('POST', '/api/v1/workers', { json, headers: { 'idempotency-key': key } });

  test('gives the first answer again, also when the worker has changed since', async () => {
    const [key, wanted] = [unique(), newWorker()];
    const first = await post(key, wanted);
    expect(first.status).toBe(201);
    expect(first.headers['idempotency-replayed']).toBeUndefined();
    await call('PATCH', first.headers.location!, { json: { name: 'Someone else' } });

    const again = await post(key, wanted);
    expect(again.status).toBe(201);
    expect(json(again)).toEqual(json(first));
    expect(again.headers['idempotency-replayed']).toBe('true');
    for (const name of ['location', 'etag', 'content-type']) expect(again.headers[name]).toBe(first.headers[name]);
    expect(await listed(`/api/v1/workers?role=${wanted.role}`)).toHaveLength(1);
  });

  test('belongs to one body', async () => {
    const [key, wanted] = [unique(), newWorker()];
    expect((await post(key, wanted)).status).toBe(201);
    const other = await post(key, { ...wanted, email: `${unique()}@example.com` });
    expect(other.status).toBe(422);
    expect(await listed(`/api/v1/workers?role=${wanted.role}`)).toHaveLength(1);
  });

  test('makes one worker when ten ask at once', async () => {
    const [key, wanted] = [unique(), newWorker()];
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(key, wanted)));
    expect(statuses(answers)).toEqual(Array(10).fill(201));
    for (const answer of answers) expect(json(answer)).toEqual(json(answers[0]!));
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(9);
    expect(await listed(`/api/v1/workers?role=${wanted.role}`)).toHaveLength(1);
  });

  test('is free again when the first request was refused', async () => {
    const [key, wanted] = [unique(), newWorker()];
    expect((await post(key, { ...wanted, hiredOn: 'yesterday' })).status).toBe(422);
    expect((await post(key, wanted)).status).toBe(201);
  });
});

describe('the list', () => {
  test('has 50 to a page unless asked otherwise, and 200 at most', async () => {
    const role = unique();
    await hireAll(Array(51).fill({ role }));
    const read = async (query: string) => json<Page<Worker>>(await call('GET', `/api/v1/workers?role=${role}${query}`));
    const first = await read('');
    expect(first.items).toHaveLength(50);
    expect(first.nextCursor).toEqual(expect.any(String));
    expect(await read('&limit=200')).toEqual({ items: expect.objectContaining({ length: 51 }), nextCursor: null });
    expect(await read('&limit=51')).toMatchObject({ nextCursor: null });
  });

  const orders: [sort: string, by: (worker: Worker) => string, down: boolean][] = [
    ['id', ({ id }) => id, false],
    ['name', ({ name }) => name, false],
    ['-name', ({ name }) => name, true],
    ['hiredOn', ({ hiredOn }) => hiredOn, false],
    ['-hiredOn', ({ hiredOn }) => hiredOn, true],
  ];
  test.for(orders)(
    'by %s gives a filtered set whole, without doubles or gaps, while others are hired',
    async ([sort, by, down]) => {
      const role = unique();
      // Ties in what is sorted by, so that a page ends in the middle of one; letters that a language would sort otherwise.
      const fields = (index: number) => ({
        role,
        name: `crew ${'aBé'[index % 3]}`,
        hiredOn: `2020-01-0${(index % 3) + 1}`,
      });
      const before = await hireAll(Array.from({ length: 13 }, (_, index) => fields(index)));
      const meanwhile: Worker[] = [];
      const seen: Worker[] = [];
      for await (const items of pages<Worker>(`/api/v1/workers?role=${role}&sort=${sort}&limit=3`)) {
        expect(items.length).toBeLessThanOrEqual(3);
        seen.push(...items);
        if (meanwhile.length < 4) meanwhile.push(await hire(fields(meanwhile.length)));
      }
      expect(new Set(ids(seen)).size).toBe(seen.length);
      expect(ids(seen)).toEqual(expect.arrayContaining(ids(before)));
      expect(ids([...before, ...meanwhile])).toEqual(expect.arrayContaining(ids(seen)));
      const keys = seen.map(by);
      expect(keys).toEqual(down ? keys.toSorted().toReversed() : keys.toSorted());
    },
  );

  test('goes on after the worker that a cursor points at is gone', async () => {
    const role = unique();
    const crew = byId(await hireAll(Array(4).fill({ role })));
    const walk = pages<Worker>(`/api/v1/workers?role=${role}&limit=2`);
    const first = (await walk.next()).value as Worker[];
    expect((await call('DELETE', at(first[1]!))).status).toBe(204);
    expect(ids((await walk.next()).value as Worker[])).toEqual(ids(crew.slice(2)));
  });

  test('takes no cursor of another order', async () => {
    const role = unique();
    await hireAll(Array(2).fill({ role }));
    const first = json<Page<Worker>>(await call('GET', `/api/v1/workers?role=${role}&limit=1&sort=name`));
    const cursor = encodeURIComponent(first.nextCursor!);
    const other = await call('GET', `/api/v1/workers?role=${role}&limit=1&sort=hiredOn&cursor=${cursor}`);
    expect(other.status).toBe(400);
    expect(complaints(other)).toEqual(['query cursor']);
  });

  test('filters by role, to the letter', async () => {
    const role = unique();
    const [mine] = await hireAll([{ role }, { role: `${role}s` }]);
    expect(await listed(`/api/v1/workers?role=${role}`)).toEqual([mine]);
    expect(await listed(`/api/v1/workers?role=${unique()}`)).toEqual([]);
  });

  test('searches names for the text as it is, also %, _ and backslash', async () => {
    const role = unique();
    const crew = ['100% Ann', '100 Ann', 'a_b Ann', 'axb Ann', 'c\\d Ann', 'cd Ann', "O'Neil", 'Żółć'];
    await hireAll(crew.map((name) => ({ role, name })));
    const search = async (text: string) =>
      names(await listed(`/api/v1/workers?role=${role}&search=${encodeURIComponent(text)}`)).toSorted();
    expect(await search('Ann')).toEqual(crew.slice(0, 6).toSorted());
    expect(await search('%')).toEqual(['100% Ann']);
    expect(await search('0% A')).toEqual(['100% Ann']);
    expect(await search('_')).toEqual(['a_b Ann']);
    expect(await search('\\')).toEqual(['c\\d Ann']);
    expect(await search('1%A')).toEqual([]);
    expect(await search("O'N")).toEqual(["O'Neil"]);
    expect(await search('ółć')).toEqual(['Żółć']);
  });

  test('filters, searches, sorts and pages in one', async () => {
    const role = unique();
    await hireAll(['b two', 'a two', 'c one', 'd two'].map((name) => ({ role, name })));
    const found = await listed(`/api/v1/workers?role=${role}&search=two&sort=-name&limit=1`);
    expect(names(found)).toEqual(['d two', 'b two', 'a two']);
  });
});

test('1,000 reads, 50 at a time, are all answered', async () => {
  const worker = await hire();
  const paths = Array.from({ length: 1000 }, (_, index) =>
    index % 2 ? at(worker) : `/api/v1/workers?role=${worker.role}`,
  );
  const answers: number[] = [];
  const reader = async () => {
    for (let path = paths.pop(); path; path = paths.pop()) answers.push((await call('GET', path)).status);
  };
  await Promise.all(Array.from({ length: 50 }, reader));
  expect(answers).toEqual(Array(1000).fill(200));
});
