import { complaints } from '@keelson/http/testing';
import { createTestDatabase } from '@keelson/postgres/testing';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';

const PATH = '/api/v1/workers';
const NOBODY = '01890000-0000-7000-8000-000000000000';
const ada = { name: 'Ada Lovelace', role: 'engineer', email: 'ada@example.com', hiredOn: '2020-02-29' };
const grace = { name: 'Grace Hopper', role: 'admiral', email: 'grace@example.com', hiredOn: '1986-08-14' };

const database = await createTestDatabase();
const { call, db, stop } = await startApi(database.url);
afterAll(async () => {
  await stop();
  await database.drop();
});
beforeEach(() => db.worker.deleteMany());

async function hire(fields: object = ada) {
  const { status, body, headers, text } = await call('POST', PATH, { json: fields });
  expect(status, text).toBe(201);
  return { ...body, path: headers.location as string, etag: headers.etag as string };
}

describe('a new worker', () => {
  test('is answered as it is stored, with its place and its tag', async () => {
    const answer = await call('POST', PATH, { json: ada });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject(ada);
    expect(answer.headers.location).toBe(`${PATH}/${answer.body.id}`);
    const read = await call('GET', answer.headers.location!);
    expect(read.body).toEqual(answer.body);
    expect(read.headers.etag).toBe(answer.headers.etag);
  });

  test('has a clean name and an address in lower case', async () => {
    const { body } = await call('POST', PATH, { json: { ...ada, name: '  Ada Lovelace\t', email: 'Ada@Example.COM' } });
    expect(body).toMatchObject(ada);
  });

  test('needs an address that nobody else has, in any case', async () => {
    await hire(ada);
    const answer = await call('POST', PATH, { json: { ...grace, email: 'ADA@example.com' } });
    expect(answer.status).toBe(409);
    expect(complaints(answer)).toEqual(['body email']);
    expect(await db.worker.count()).toBe(1);
  });

  test('is made once, when ten ask for the same address at once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => call('POST', PATH, { json: ada })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)]);
  });

  test.for([
    { name: "O'Neil; DROP TABLE" },
    { name: '船'.repeat(200) },
    { role: 'x'.repeat(100) },
    { hiredOn: '9999-12-31' },
    { hiredOn: '1900-01-01' },
    { hiredOn: '2000-02-29' },
    { email: `${'a'.repeat(242)}@example.com` },
  ])('may have %j', async (fields) => {
    expect(await hire({ ...ada, ...fields })).toMatchObject(fields);
  });
});

describe('a worker', () => {
  test.for(['GET', 'PATCH', 'DELETE'])('that is not there is 404 for %s', async (method) => {
    const json = method === 'PATCH' ? { json: {} } : {};
    expect((await call(method, `${PATH}/${NOBODY}`, json)).status).toBe(404);
    const tagged = await call(method, `${PATH}/${NOBODY}`, { ...json, headers: { 'if-match': '"1"' } });
    expect(tagged.status).toBe(404);
  });

  test('is read by HEAD as by GET, without the body', async () => {
    const { path } = await hire();
    const [get, head] = [await call('GET', path), await call('HEAD', path)];
    expect([head.status, head.text]).toEqual([200, '']);
    for (const name of ['etag', 'content-type', 'content-length']) expect(head.headers[name]).toBe(get.headers[name]);
  });

  test('changes in the fields that are named, and gets another tag', async () => {
    const before = await hire();
    const answer = await call('PATCH', before.path, { json: { role: 'countess' } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ ...ada, role: 'countess', createdAt: before.createdAt });
    expect(Date.parse(answer.body.updatedAt)).toBeGreaterThanOrEqual(Date.parse(before.updatedAt));
    expect(answer.headers.etag).not.toBe(before.etag);
    expect((await call('GET', before.path)).body).toEqual(answer.body);
  });

  test('changes in every field, by the rules of a new one', async () => {
    const { path } = await hire();
    const { body } = await call('PATCH', path, { json: { ...grace, email: 'GRACE@example.com' } });
    expect(body).toMatchObject(grace);
  });

  test('does not take the address of another', async () => {
    await hire(ada);
    const { path } = await hire(grace);
    const answer = await call('PATCH', path, { json: { email: 'Ada@example.com' } });
    expect(answer.status).toBe(409);
    expect(complaints(answer)).toEqual(['body email']);
    expect((await call('GET', path)).body).toMatchObject(grace);
  });

  test('is gone once it is removed', async () => {
    const { path } = await hire();
    const { status, text } = await call('DELETE', path);
    expect([status, text]).toEqual([204, '']);
    expect((await call('GET', path)).status).toBe(404);
    expect((await call('DELETE', path)).status).toBe(404);
  });
});

describe('If-None-Match', () => {
  test('spares a client what it has', async () => {
    const { path, etag } = await hire();
    for (const held of [etag, `W/${etag}`, `"x", W/"y",${etag}`, '*'])
      for (const method of ['GET', 'HEAD']) {
        const answer = await call(method, path, { headers: { 'if-none-match': held } });
        expect([held, method, answer.status, answer.text]).toEqual([held, method, 304, '']);
        expect(answer.headers.etag).toBe(etag);
      }
  });

  test('with another tag is answered in full', async () => {
    const { path, etag } = await hire();
    await call('PATCH', path, { json: { role: 'countess' } });
    for (const held of [etag, '"x"', 'nonsense'])
      expect((await call('GET', path, { headers: { 'if-none-match': held } })).status).toBe(200);
  });
});

describe('If-Match', () => {
  const change = (path: string, tag: string, json: object = { role: 'countess' }) =>
    call('PATCH', path, { json, headers: { 'if-match': tag } });

  test('lets a change through that was made with the newest version in mind', async () => {
    const { path, etag } = await hire();
    const first = await change(path, etag);
    expect(first.status).toBe(200);
    const second = await change(path, ` "x" , ${first.headers.etag}`);
    expect(second.status).toBe(200);
    expect((await change(path, '*')).status).toBe(200);
    expect((await call('DELETE', path, { headers: { 'if-match': '*' } })).status).toBe(204);
  });

  test('refuses every other change', async () => {
    const { path, etag } = await hire();
    const { body, headers } = await change(path, etag);
    const stale = [
      etag,
      `W/${headers.etag}`,
      '"x"',
      '2',
      '"02"',
      '"99999999999"',
      '""',
      'nonsense',
      '"x", "y"',
      '*, "x"',
    ];
    for (const tag of stale) {
      expect([tag, (await change(path, tag)).status]).toEqual([tag, 412]);
      expect([tag, (await call('DELETE', path, { headers: { 'if-match': tag } })).status]).toEqual([tag, 412]);
    }
    expect((await call('GET', path)).body).toEqual(body);
  });

  test('lets one of ten through that have the same version in mind', async () => {
    const { path, etag } = await hire();
    const names = Array.from({ length: 10 }, (_, index) => `Ada ${index}`);
    const answers = await Promise.all(names.map((name) => change(path, etag, { name })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(412)]);
    const winner = answers.find(({ status }) => status === 200)!;
    expect((await call('GET', path)).body).toEqual(winner.body);
  });
});

describe('a method that is not there', () => {
  test.for([
    [PATH, 'GET, HEAD, POST', ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']],
    [`${PATH}/`, 'GET, HEAD, POST', ['PUT']],
    [`${PATH}/${NOBODY}`, 'GET, HEAD, PATCH, DELETE', ['POST', 'PUT', 'OPTIONS']],
  ] as const)('is refused at %s, and the others named: %s', async ([path, allow, methods]) => {
    for (const method of methods) {
      const answer = await call(method, path);
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, allow]);
    }
  });

  test('a slash at the end makes no difference, upper case does', async () => {
    expect((await call('GET', `${PATH}/`)).status).toBe(200);
    expect((await call('GET', '/api/v1/Workers')).status).toBe(404);
  });
});
