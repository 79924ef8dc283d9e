import { gzipSync } from 'node:zlib';
import { complaints, type Sent } from '@keelson/http/testing';
import { createTestDatabase } from '@keelson/postgres/testing';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';

const PATH = '/api/v1/workers';
const NOBODY = '01890000-0000-7000-8000-000000000000';
const JSON_TYPE = { 'content-type': 'application/json' };
const ada = { name: 'Ada Lovelace', role: 'engineer', email: 'ada@example.com', hiredOn: '2020-02-29' };

const database = await createTestDatabase();
const { call, db, stop } = await startApi(database.url);
afterAll(async () => {
  await stop();
  await database.drop();
});
beforeEach(() => db.worker.deleteMany());

const post = (sent: Sent) => call('POST', PATH, sent);
const raw = (body: string | Buffer, headers = {}) => post({ body, headers: { ...JSON_TYPE, ...headers } });

describe('a field', () => {
  const text = [
    null,
    '',
    '   ',
    7,
    true,
    [],
    {},
    'x'.repeat(201),
    'a\u0000b',
    'a\nb',
    'a\u001bb',
    '\ud800',
    'a\udc00b',
  ];
  const days = [
    'yesterday',
    '2020-1-1',
    '20200101',
    ' 2020-01-01',
    '2020-01-01T00:00:00Z',
    '2020-01-01\u0000',
    '١٩٩٩-٠١-٠١',
  ];
  const neverWere = ['2024-02-30', '2023-02-29', '2100-02-29', '2024-13-01', '2024-00-10', '2024-01-00', '2024-06-31'];
  const years = ['0000-01-01', '-001-01-01', '1899-12-31', '10000-01-01', '+010000-01-01'];
  const bad: Record<keyof typeof ada, unknown[]> = {
    name: text,
    role: [...text, 'x'.repeat(101)],
    email: [
      ...text,
      'nobody',
      '@example.com',
      'a@',
      'a b@example.com',
      'a@b@c.de',
      ' a@b.cd',
      `${'a'.repeat(243)}@example.com`,
    ],
    hiredOn: [null, '', 7, 20_200_101, 9.3e18, [], {}, ...days, ...neverWere, ...years],
  };
  const cases = Object.entries(bad).flatMap(([field, values]) => values.map((value) => [field, value] as const));

  test.for(cases)('%s may not be %j', async ([field, value]) => {
    const made = await post({ json: { ...ada, [field]: value } });
    expect([made.status, ...new Set(complaints(made))]).toEqual([422, `body ${field}`]);
    const changed = await call('PATCH', `${PATH}/${NOBODY}`, { json: { [field]: value } });
    expect([changed.status, ...new Set(complaints(changed))]).toEqual([422, `body ${field}`]);
  });

  test('may not be missing; each that is wrong is named', async () => {
    const answer = await post({ json: { role: '', hiredOn: '2024-02-30' } });
    expect(answer.status).toBe(422);
    expect(complaints(answer).sort()).toEqual(['body email', 'body hiredOn', 'body name', 'body role']);
  });

  test.for(['id', 'version', 'createdAt', 'salary', '__proto__', 'constructor', 'toString', 'a.b', ''])(
    'may not be unknown: "%s"',
    async (field) => {
      for (const value of ['1', '{"name":"x"}', '{"toString":1}']) {
        const answer = await raw(`{${JSON.stringify(field)}:${value},${JSON.stringify(ada).slice(1)}`);
        expect([answer.status, ...complaints(answer)]).toEqual([422, `body ${field}`.trim()]);
      }
    },
  );

  test.for(['9223372036854775808', '-9223372036854775809', '1e400', '1'.repeat(400), '0.1e-400'])(
    'may not be the number %s',
    async (number) => {
      for (const field of Object.keys(ada)) {
        const answer = await raw(`{${JSON.stringify(ada).slice(1, -1)},"${field}":${number}}`);
        expect([answer.status, ...complaints(answer)]).toEqual([422, `body ${field}`]);
      }
    },
  );

  test('may not be 40,000 levels deep', async () => {
    const arrays = '['.repeat(40_000) + ']'.repeat(40_000);
    const objects = '{"a":'.repeat(16_000) + '1' + '}'.repeat(16_000);
    for (const deep of [arrays, objects]) {
      const answer = await raw(`{${JSON.stringify(ada).slice(1, -1)},"name":${deep}}`);
      expect([answer.status, ...complaints(answer)]).toEqual([422, 'body name']);
    }
    expect((await raw(arrays)).status).toBe(422);
    expect((await raw('['.repeat(90_000))).status).toBe(400);
  });
});

describe('a body', () => {
  test.for(['null', '[]', '[{}]', '"text"', '7', 'true'])('may not be %s', async (body) => {
    const answer = await raw(body);
    expect([answer.status, ...complaints(answer)]).toEqual([422, 'body']);
  });

  test('may not be missing', async () => {
    const fields = Object.keys(ada).map((field) => `body ${field}`);
    for (const answer of [await post({}), await post({ headers: JSON_TYPE }), await raw('')]) {
      expect(answer.status).toBe(422);
      expect(complaints(answer)).toEqual(fields);
    }
  });

  test.for([
    '{',
    '{"name":',
    "{'name':1}",
    '{"name":"a",}',
    'nonsense',
    '{}{}',
    '\u0000',
    '\ufeff\ufeff{}',
    '{"name":"\\u12"}',
    '   ',
  ])('may not be broken JSON: %j', async (body) => {
    const answer = await raw(body);
    expect([answer.status, answer.body.detail]).toEqual([400, 'The body is not valid JSON.']);
  });

  test('has to be UTF-8', async () => {
    const [head, tail] = JSON.stringify({ ...ada, name: 'a|b' }).split('|');
    for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80]]) {
      const answer = await raw(Buffer.concat([Buffer.from(head!), Buffer.from(bytes), Buffer.from(tail!)]));
      expect([answer.status, answer.body.detail]).toEqual([400, 'The body cannot be read: it is not UTF-8.']);
    }
  });

  test('of 100 kB is taken, of 101 kB is not', async () => {
    const body = JSON.stringify(ada);
    expect((await raw(body.padEnd(100 * 1024))).status).toBe(201);
    expect((await raw(body.padEnd(101 * 1024))).status).toBe(413);
    expect((await raw(`{"name":"${'x'.repeat(2_000_000)}"}`)).status).toBe(413);
  });

  test('may be packed, but not to be more than it seems', async () => {
    expect((await raw(gzipSync(JSON.stringify(ada)), { 'content-encoding': 'gzip' })).status).toBe(201);
    const bomb = gzipSync(' '.repeat(20_000_000));
    expect(bomb.length).toBeLessThan(100_000);
    expect((await raw(bomb, { 'content-encoding': 'gzip' })).status).toBe(413);
  });

  test.for([
    ['gzip', JSON.stringify(ada), 400],
    ['gzip', gzipSync(JSON.stringify(ada)).subarray(0, 40), 400],
    ['nonsense', JSON.stringify(ada), 415],
    ['gzip, gzip', gzipSync(gzipSync(JSON.stringify(ada))), 415],
  ] as const)('in the encoding %s has to be that: %s', async ([encoding, body, status]) => {
    expect((await raw(body as string, { 'content-encoding': encoding })).status).toBe(status);
  });

  test.for([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/merge-patch+json',
    'application/jsonp',
    'nonsense',
    'application/json; charset=latin1',
    'application/json; charset=utf-99',
    'application/json; charset=nonsense',
  ])('of type %s is refused', async (type) => {
    const sent = { body: JSON.stringify(ada), headers: { 'content-type': type } };
    expect((await post(sent)).status).toBe(415);
    expect((await call('PATCH', `${PATH}/${NOBODY}`, sent)).status).toBe(415);
  });

  test.for(['application/json;charset=utf-8', 'APPLICATION/JSON', 'application/json; charset="UTF-8"; x=y'])(
    'of type %s is taken',
    async (type) => {
      expect((await raw(JSON.stringify(ada), { 'content-type': type })).status).toBe(201);
    },
  );
});

describe('an address', () => {
  const odd = [
    'abc',
    '1',
    '-1',
    '9223372036854775808',
    '1'.repeat(400),
    '%20',
    '%00',
    'a%00b',
    'null',
    `${NOBODY}x`,
    `%7B${NOBODY}%7D`,
  ];
  test.for(odd)('may not end in %s', async (id) => {
    for (const method of ['GET', 'HEAD', 'PATCH', 'DELETE']) {
      const answer = await call(method, `${PATH}/${id}`, method === 'PATCH' ? { json: { role: 'cook' } } : {});
      expect([method, answer.status]).toEqual([method, 400]);
      if (method !== 'HEAD') expect(complaints(answer)).toEqual(['path id']);
    }
  });

  test.for(['%', '%zz', '%4', '%ff', '%c3%28', '%ed%a0%80'])('may not end in the broken %s', async (end) => {
    expect((await call('GET', `${PATH}/${end}`)).status).toBe(400);
  });

  test('that nobody answers is 404', async () => {
    for (const path of ['/', '/api', `${PATH}x`, `${PATH}/${NOBODY}/more`, `/%zz`, '//readyz', '/internal/v1/exports'])
      expect([path, (await call('GET', path)).status]).toEqual([path, 404]);
  });
});

describe('a query', () => {
  const limits = ['0', '201', '-1', '1.5', 'abc', '', 'NaN', 'Infinity', '9223372036854775808', '1e400', '%00', '1,2'];
  const bad: [query: string, ...complaints: string[]][] = [
    ...limits.map((limit): [string, string] => [`limit=${limit}`, 'query limit']),
    ['limit=1&limit=2', 'query limit'],
    ['limit=5&limit=5', 'query limit'],
    ['role=a&role=b', 'query role'],
    ['search=a&search=b', 'query search'],
    ['sort=id&sort=name', 'query sort'],
    ['cursor=a&cursor=b', 'query cursor'],
    ['role=', 'query role'],
    ['role=a%00b', 'query role'],
    ['search=', 'query search'],
    ['search=a%00b', 'query search'],
    [`search=${'a'.repeat(201)}`, 'query search'],
    ['sort=email', 'query sort'],
    ['sort=-id', 'query sort'],
    ['sort=--name', 'query sort'],
    ['sort=constructor', 'query sort'],
    ['unknown=1', 'query unknown'],
    ['__proto__=1', 'query __proto__'],
    ['constructor=1&toString=2', 'query constructor', 'query toString'],
    ['role[a]=b', 'query role[a]'],
    ['%', 'query %'],
    ['limit=0&sort=x&y=1', 'query limit', 'query sort', 'query y'],
  ];
  test.for(bad)('may not be %s', async ([query, ...expected]) => {
    const answer = await call('GET', `${PATH}?${query}`);
    expect([answer.status, ...complaints(answer)]).toEqual([400, ...expected]);
  });

  test.for(['&&&', 'search=%', 'search=%ff', 'search=%ed%a0%80', 'search=%F0%9F%9A%A2'])(
    'may be odd: %s',
    async (query) => {
      expect((await call('GET', `${PATH}?${query}`)).status).toBe(200);
    },
  );

  const forged = [
    'null',
    '1',
    '{}',
    '[]',
    '["id"]',
    '["id",1,1]',
    '["id","x","y"]',
    '["name",null,null]',
    '['.repeat(900),
  ];
  const positions = [
    `["id","${NOBODY}","x"]`,
    `["hiredOn","2024-02-30","${NOBODY}"]`,
    `["hiredOn","10000-01-01","${NOBODY}"]`,
    `["name","a\\u0000b","${NOBODY}"]`,
    `["name","\\ud800","${NOBODY}"]`,
    `["name",{"contains":""},"${NOBODY}"]`,
  ];
  const cursors = [...forged, ...positions].map((text) => Buffer.from(text).toString('base64url'));
  test.for(['x', '%00', '!!!', 'a'.repeat(4000), ...cursors])('may not have the made-up cursor %s', async (cursor) => {
    for (const path of [`${PATH}?`, `${PATH}?sort=name&`, `${PATH}?sort=-hiredOn&`, '/api/v1/exports?']) {
      const answer = await call('GET', `${path}cursor=${cursor}`);
      expect([path, answer.status, ...complaints(answer)]).toEqual([path, 400, 'query cursor']);
    }
  });
});
