import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { call, complaints, json, knock } from './api.ts';
import type { Sent } from './http.ts';
import { hire, hireAll, listed, newWorker, unique, type Page, type Worker } from './roster.ts';

const WORKERS = '/api/v1/workers';
const EXPORTS = '/api/v1/exports';
const shortened = (text = 'missing') => (text.length > 60 ? `${text.slice(0, 40)}… (${text.length})` : text);
const base64 = (text: string) => Buffer.from(text).toString('base64url');
const NOBODY = '01890000-0000-7000-8000-000000000000';
const JSON_TYPE = { 'content-type': 'application/json' };
const post = (sent: Sent) => call('POST', WORKERS, sent);
const raw = (body: string | Buffer, headers: Record<string, string> = {}) =>
  post({ body, headers: { ...JSON_TYPE, ...headers } });

describe('a worker', () => {
  const text = [
    undefined,
    null,
    '',
    '   ',
    7,
    true,
    [],
    {},
    'x'.repeat(10_000),
    'a\u0000b',
    'a\nb',
    'a\u001bb',
    '\ud800',
    'a\udc00b',
  ];
  const bad: Record<keyof ReturnType<typeof newWorker>, unknown[]> = {
    name: text,
    role: text,
    email: [
      ...text,
      'nobody',
      '@example.com',
      'a@',
      'a b@example.com',
      'a@b@example.com',
      `${'a'.repeat(300)}@example.com`,
    ],
    hiredOn: [
      ...[undefined, null, '', 7, 20_200_101, [], {}, 'yesterday', '2020-1-1', '20200101', '01.01.2020', ' 2020-01-01'],
      ...['2024-02-30', '2023-02-29', '2100-02-29', '2024-13-01', '2024-00-10', '2024-01-00', '2024-01-32'],
      ...['0000-01-01', '-001-01-01', '10000-01-01', '+010000-01-01', '2024-01-01T00:00:00Z', '2024-01-01\u0000'],
    ],
  };
  const cases = Object.entries(bad).flatMap(([field, values]) =>
    values.map((value) => [field, shortened(JSON.stringify(value)), value] as const),
  );

  test.for(cases)('with the %s %s is refused', async ([field, , value]) => {
    const answer = await post({ json: { ...newWorker(), [field]: value } });
    expect(answer.status, answer.text).toBe(422);
    expect(complaints(answer)).toContain(`body ${field}`);
    expect(new Set(complaints(answer)).size).toBe(1);
  });

  test('is not changed by a bad change', async () => {
    const worker = await hire();
    for (const [field, , value] of cases.filter(([, , given]) => given !== undefined)) {
      const answer = await call('PATCH', `${WORKERS}/${worker.id}`, { json: { role: 'cook', [field]: value } });
      expect([field, value, answer.status]).toEqual([field, value, 422]);
      expect(complaints(answer)).toContain(`body ${field}`);
    }
    expect(json(await call('GET', `${WORKERS}/${worker.id}`))).toEqual(worker);
  });

  test('with several faults hears of each', async () => {
    const answer = await post({ json: { name: '', hiredOn: '2024-02-30', email: 'nobody' } });
    expect(answer.status).toBe(422);
    expect(complaints(answer).toSorted()).toEqual(['body email', 'body hiredOn', 'body name', 'body role']);
  });

  test.for(['id', 'createdAt', 'salary', '__proto__', 'constructor', ''])(
    'with the unknown field "%s" is refused',
    async (field) => {
      const known = JSON.stringify(newWorker()).slice(1);
      const answer = await raw(`{${JSON.stringify(field)}:{"a":1},${known}`);
      expect(answer.status, answer.text).toBe(422);
      expect(complaints(answer)).toEqual([`body ${field}`.trim()]);
    },
  );

  test('may have a name and a date at the edge of what is allowed', async () => {
    const worker = newWorker({ name: '船'.repeat(200), role: 'r'.repeat(100), hiredOn: '9999-12-31' });
    const answer = await post({ json: worker });
    expect(answer.status, answer.text).toBe(201);
    expect(json(answer)).toMatchObject(worker);
  });
});

describe('a body', () => {
  test.for([
    ['an array', '[]'],
    ['an array of workers', '[{}]'],
  ])('that is %s is refused', async ([, body]) => {
    expect((await raw(body!)).status).toBe(422);
  });

  test.for(['null', '"text"', '7', 'true'])('that is just %s is refused', async (body) => {
    expect([400, 422]).toContain((await raw(body)).status);
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
    '{"name":"a\nb"}',
  ])('that is broken JSON is refused: %j', async (body) => {
    const answer = await raw(body);
    expect(answer.status, answer.text).toBe(400);
  });

  test('that is missing is refused', async () => {
    for (const headers of [{}, JSON_TYPE] as Record<string, string>[]) {
      const answer = await post({ headers });
      expect([400, 415, 422]).toContain(answer.status);
    }
    expect([400, 422]).toContain((await raw('')).status);
    expect([400, 422]).toContain((await raw('', { 'transfer-encoding': 'chunked' })).status);
    expect([400, 422]).toContain((await raw('   ')).status);
  });

  test('nested 40,000 levels deep is refused', async () => {
    const deep = '['.repeat(40_000) + ']'.repeat(40_000);
    expect((await raw(deep)).status).toBe(422);
    const field = await raw(`{"name":${deep}}`);
    expect(field.status).toBe(422);
    expect(complaints(field)).toContain('body name');
    expect((await raw('['.repeat(40_000))).status).toBe(400);
    expect((await raw('{"a":'.repeat(16_000) + '1' + '}'.repeat(16_000))).status).toBe(422);
  });

  test('that is not UTF-8 does not end up in the roster as something else', async () => {
    const [head, tail] = JSON.stringify(newWorker({ name: 'a|b' })).split('|');
    const answer = await raw(Buffer.concat([Buffer.from(head!), Buffer.from([0xff, 0xfe]), Buffer.from(tail!)]));
    expect([400, 422]).toContain(answer.status);
  });

  test.for([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/jsonp',
    'nonsense',
  ])('of type %s is refused', async (type) => {
    const worker = await hire();
    const sent = { body: JSON.stringify(newWorker()), headers: { 'content-type': type } };
    expect((await post(sent)).status).toBe(415);
    expect((await call('PATCH', `${WORKERS}/${worker.id}`, sent)).status).toBe(415);
    expect((await call('POST', EXPORTS, { ...sent, body: '{}' })).status).toBe(415);
  });

  test('in another charset or encoding is refused', async () => {
    const body = JSON.stringify(newWorker());
    const [latin, packed, broken] = [
      await raw(body, { 'content-type': 'application/json; charset=latin1' }),
      await raw(body, { 'content-encoding': 'nonsense' }),
      await raw(body, { 'content-encoding': 'gzip' }),
    ];
    expect([latin.status, packed.status, broken.status]).toEqual([415, 415, 400]);
  });

  test.for([
    ['200 kB', 200_000],
    ['2 MB', 2_000_000],
  ] as const)('of %s is too large', async ([, size]) => {
    const body = JSON.stringify(newWorker({ name: 'x'.repeat(size) }));
    expect((await raw(body)).status).toBe(413);
    expect((await raw(body, { 'transfer-encoding': 'chunked' })).status).toBe(413);
    expect((await raw(gzipSync(body), { 'content-encoding': 'gzip' })).status).toBe(413);
  });

  test.for([
    ['an unknown field', 422, '{"all":true}'],
    ['an array', 422, '[]'],
    ['broken JSON', 400, '{'],
    ['200 kB', 413, JSON.stringify({ all: 'x'.repeat(200_000) })],
  ] as const)('of an export with %s is refused', async ([, status, body]) => {
    expect((await call('POST', EXPORTS, { body, headers: JSON_TYPE })).status).toBe(status);
  });
});

describe('an address', () => {
  const odd = [
    'abc',
    '1',
    '-1',
    '0',
    '9223372036854775808',
    '99999999999999999999999',
    '%20',
    '%27',
    'null',
    '..',
    `${NOBODY}x`,
    `{${NOBODY}}`,
  ];
  test.for(odd)('with the id %s is refused', async (id) => {
    // What means another path to a client or a proxy may be refused as such.
    const ask = id === '..' ? knock : call;
    for (const [method, path] of [
      ['GET', `${WORKERS}/${id}`],
      ['PATCH', `${WORKERS}/${id}`],
      ['DELETE', `${WORKERS}/${id}`],
      ['GET', `${EXPORTS}/${id}`],
      ['GET', `${EXPORTS}/${id}/file`],
    ] as const) {
      const answer = await ask(method, path, method === 'PATCH' ? { json: { role: 'cook' } } : {});
      expect([method, path, answer.status]).toEqual([method, path, 400]);
    }
  });

  test.for(['%', '%zz', '%4', '%ff', '%c3%28', '%00', 'a%00b', '\u0000', '%0d%0aX-Injected:1', '%ed%a0%80', '\u00ff'])(
    'with the garbage %j is refused',
    async (garbage) => {
      for (const path of [`${WORKERS}/${garbage}`, `${EXPORTS}/${garbage}/file`, `${EXPORTS}/${garbage}`]) {
        const answer = await knock('GET', path);
        expect([path, answer.status]).toEqual([path, 400]);
        expect(answer.headers['x-injected']).toBeUndefined();
      }
    },
  );

  test('of 20 kB is too long', async () => {
    for (const path of [`${WORKERS}/${'a'.repeat(20_000)}`, `${WORKERS}?search=${'a'.repeat(20_000)}`])
      expect([414, 431]).toContain((await knock('GET', path)).status);
  });

  test('of 6 kB is still only wrong', async () => {
    expect((await call('GET', `${WORKERS}/${'a'.repeat(6000)}`)).status).toBe(400);
    expect((await call('GET', `${WORKERS}?search=${'a'.repeat(6000)}`)).status).toBe(400);
  });
});

describe('the list', () => {
  const bad: [query: string, complaint: string][] = [
    ...['0', '201', '-1', '1.5', 'abc', '', 'NaN', 'Infinity', '99999999999999999999', '%00', '1%00', '1,2'].map(
      (limit): [string, string] => [`limit=${limit}`, 'query limit'],
    ),
    ['limit=1&limit=2', 'query limit'],
    ['limit=5&limit=5', 'query limit'],
    ['role=a&role=b', 'query role'],
    ['search=a&search=b', 'query search'],
    ['sort=id&sort=name', 'query sort'],
    ['cursor=a&cursor=b', 'query cursor'],
    ['sort=email', 'query sort'],
    ['sort=', 'query sort'],
    ['sort=--id', 'query sort'],
    ['sort=id;drop', 'query sort'],
    ['sort=constructor', 'query sort'],
    ['role=a%00b', 'query role'],
    ['search=a%00b', 'query search'],
    [`search=${'a'.repeat(250)}`, 'query search'],
    ['unknown=1', 'query unknown'],
  ];
  const forged = ['null', '1', '{}', '[]', '["id"]', '["id",1,1]', '["id","x","y"]', `["id","${NOBODY}","x"]`];
  const forgeries = [...forged, '["name",null,null]', '["hiredOn","2024-02-30","x"]', '['.repeat(900)];
  const cursors = ['x', '%00', '!!!', '%F0%9F%9A%A2', 'a'.repeat(4000), ...forgeries.map(base64)];

  test.for(bad)('with %s is refused', async ([query, complaint]) => {
    const answer = await call('GET', `${WORKERS}?${query}`);
    expect(answer.status, answer.text).toBe(400);
    expect(new Set(complaints(answer))).toEqual(new Set([complaint]));
  });

  test.for(cursors.map((cursor) => [shortened(cursor), cursor]))(
    'with the made-up cursor %s is refused',
    async ([, cursor]) => {
      for (const path of [WORKERS, EXPORTS]) {
        const answer = await call('GET', `${path}?cursor=${cursor}`);
        expect([path, answer.status]).toEqual([path, 400]);
        expect(complaints(answer)).toEqual(['query cursor']);
      }
    },
  );

  test.for(['id', 'name', '-hiredOn'])('by %s with a cursor that was tampered with never fails', async (sort) => {
    const role = unique();
    await hireAll([{ role }, { role }]);
    const path = `${WORKERS}?role=${role}&limit=1&sort=${sort}`;
    const { nextCursor } = json<Page<Worker>>(await call('GET', path));
    for (let index = 0; index < nextCursor!.length; index += 3) {
      const cursor = `${nextCursor!.slice(0, index)}${nextCursor![index] === 'A' ? 'B' : 'A'}${nextCursor!.slice(index + 1)}`;
      const { status } = await call('GET', `${path}&cursor=${encodeURIComponent(cursor)}`);
      expect([cursor, [200, 400].includes(status)]).toEqual([cursor, true]);
    }
  });

  test.for(['limit=0', 'limit=201', 'limit=abc', 'limit=99999999999999999999', 'limit=1&limit=2', 'unknown=1'])(
    'of exports with %s is refused',
    async (query) => {
      expect((await call('GET', `${EXPORTS}?${query}`)).status).toBe(400);
    },
  );

  const garbage = [
    '%',
    '%zz',
    '%ff',
    '&&&',
    '=',
    '=1',
    'role',
    'role[a]=b',
    'role[]=b',
    'limit[$gt]=1',
    '__proto__=1',
    '__proto__[a]=1',
  ];
  test.for([...garbage, 'search=%', 'search=%ff', 'search=%ed%a0%80', 'constructor=1', 'toString=1'])(
    'with the garbage %s never fails',
    async (query) => {
      expect([200, 400]).toContain((await call('GET', `${WORKERS}?${query}`)).status);
    },
  );

  test('finds nothing by text that is code elsewhere', async () => {
    for (const text of [
      "' OR 1=1 --",
      '"; DROP TABLE "Worker"',
      '${7*7}',
      '{{7*7}}',
      '<script>',
      '../../etc/passwd',
      '$1',
    ])
      for (const name of ['search', 'role'])
        expect(await listed(`${WORKERS}?limit=200&${name}=${encodeURIComponent(`${unique()}${text}`)}`)).toEqual([]);
  });
});

describe('a header', () => {
  test.for(['x'.repeat(256), 'has space', 'caf\u00e9'])('Idempotency-Key %s is refused', async (key) => {
    for (const path of [WORKERS, EXPORTS]) {
      const sent = path === WORKERS ? { json: newWorker() } : {};
      const answer = await call('POST', path, { ...sent, headers: { 'idempotency-key': key } });
      expect(answer.status, answer.text).toBe(400);
      expect(complaints(answer)).toEqual(['header idempotency-key']);
    }
  });

  test.for(['nonsense', '"', '""', 'W/"1"', '","', '"a", b', '*, "a"'])('If-Match: %s changes nothing', async (tag) => {
    const worker = await hire();
    const path = `${WORKERS}/${worker.id}`;
    const answer = await call('PATCH', path, { json: { role: 'cook' }, headers: { 'if-match': tag } });
    expect([400, 412]).toContain(answer.status);
    expect([400, 412]).toContain((await call('DELETE', path, { headers: { 'if-match': tag } })).status);
    expect(json(await call('GET', path, { headers: { 'if-none-match': tag === 'W/"1"' ? 'x' : tag } }))).toEqual(
      worker,
    );
  });

  test('of 20 kB is too large', async () => {
    expect([400, 431]).toContain((await knock('GET', WORKERS, { headers: { 'x-long': 'a'.repeat(20_000) } })).status);
  });

  test('with two others of its size may be too much, and is told so', async () => {
    const long = 'a'.repeat(7000);
    const headers = { 'x-long-1': long, 'x-long-2': long, 'x-long-3': long };
    expect([200, 400, 431]).toContain((await knock('GET', WORKERS, { headers })).status);
  });
});

describe('a method', () => {
  const routes: [path: string, allowed: string[]][] = [
    [WORKERS, ['GET', 'HEAD', 'POST']],
    [`${WORKERS}/${NOBODY}`, ['GET', 'HEAD', 'PATCH', 'DELETE']],
    [EXPORTS, ['GET', 'HEAD', 'POST']],
    [`${EXPORTS}/${NOBODY}`, ['GET', 'HEAD']],
    [`${EXPORTS}/${NOBODY}/file`, ['GET', 'HEAD']],
  ];
  const all = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'PURGE'];
  const refused = routes.flatMap(([path, allowed]) =>
    all.filter((method) => !allowed.includes(method)).map((method) => [method, path, allowed] as const),
  );

  test.for(refused)('%s is not possible on %s', async ([method, path, allowed]) => {
    const answer = await call(method, path, method === 'PUT' ? { json: {} } : {});
    expect(answer.status).toBe(405);
    expect(answer.headers.allow?.split(/, */).toSorted()).toEqual(allowed.toSorted());
  });

  test.for(['TRACE', 'KEELSON'])('%s never fails', async (method) => {
    for (const path of ['/', WORKERS]) {
      const { status } = await knock(method, path);
      expect([method, path, [400, 405].includes(status)]).toEqual([method, path, true]);
    }
  });

  test('that is only written in a header changes nothing', async () => {
    const worker = await hire();
    const headers = { 'x-http-method-override': 'DELETE', 'x-method-override': 'DELETE' };
    expect((await call('GET', `${WORKERS}/${worker.id}`, { headers })).status).toBe(200);
    expect((await call('GET', `${WORKERS}/${worker.id}`)).status).toBe(200);
  });
});
