import { complaints } from '@keelson/http/testing';
import { installQueue } from '@keelson/queue';
import { createTestDatabase } from '@keelson/postgres/testing';
import { Client } from 'pg';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';

const PATH = '/api/v1/exports';
const NOBODY = '01890000-0000-7000-8000-000000000000';

const database = await createTestDatabase();
await installQueue(database.adminUrl, () => undefined);
const { call, db, pool, lines, stop } = await startApi(database.url);
const admin = new Client(database.adminUrl);
await admin.connect();
afterAll(async () => {
  await stop();
  await admin.end();
  await database.drop();
});
beforeEach(async () => {
  await db.export.deleteMany();
  await db.worker.deleteMany();
  await pool.query('DELETE FROM graphile_worker._private_jobs');
});

async function jobs() {
  const { rows } = await pool.query(`
    SELECT identifier AS name, payload, max_attempts AS "maxAttempts"
    FROM graphile_worker._private_jobs AS jobs JOIN graphile_worker._private_tasks AS tasks ON tasks.id = task_id`);
  return rows;
}
async function order() {
  const { body, headers, status, text } = await call('POST', PATH);
  expect(status, text).toBe(202);
  return { ...body, path: headers.location! };
}
const report = (id: string, json: object) => call('PATCH', `/internal/v1/exports/${id}`, { json });

describe('ordering an export', () => {
  test.for([{}, { json: {} }, { headers: { 'content-type': 'text/plain' } }])('with %j is accepted', async (sent) => {
    const answer = await call('POST', PATH, sent);
    expect(answer.status).toBe(202);
    expect(answer.headers.location).toBe(`${PATH}/${answer.body.id}`);
    expect(answer.body).toMatchObject({ state: 'queued', reason: null, rowsDone: 0, rowsTotal: null, bytes: null });
    expect((await call('GET', answer.headers.location!)).body).toEqual(answer.body);
  });

  test('adds a job for it, which carries the id of the request', async () => {
    const { body } = await call('POST', PATH, { headers: { 'x-request-id': 'r.1' } });
    const payload = { data: { exportId: body.id }, requestId: 'r.1' };
    expect(await jobs()).toEqual([{ name: 'export-workers', payload, maxAttempts: 4 }]);
  });

  test('adds none when its transaction fails, even at the very end', async () => {
    await admin.query(`
      CREATE FUNCTION roster.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON roster."Export" DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION roster.refuse()`);
    try {
      expect((await call('POST', PATH)).status).toBe(500);
      expect((await call('POST', PATH, { headers: { 'idempotency-key': 'refused' } })).status).toBe(500);
    } finally {
      await admin.query('DROP FUNCTION roster.refuse CASCADE');
    }
    expect(await jobs()).toEqual([]);
    expect(lines.filter(({ err }) => err?.stack.includes('refused'))).toHaveLength(2);
    expect((await call('POST', PATH, { headers: { 'idempotency-key': 'refused' } })).status).toBe(202);
  });

  test('leaves no export behind that nobody works on, when the queue fails', async () => {
    await admin.query('ALTER SCHEMA graphile_worker RENAME TO away');
    expect((await call('POST', PATH)).status).toBe(500);
    await admin.query('ALTER SCHEMA away RENAME TO graphile_worker');
    expect(await db.export.count()).toBe(0);
  });

  test('with an Idempotency-Key is done once, and answered to the letter again', async () => {
    const headers = { 'idempotency-key': 'once' };
    const answers = await Promise.all(Array.from({ length: 5 }, () => call('POST', PATH, { headers })));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'])).toHaveLength(4);
    expect(await jobs()).toHaveLength(1);
    const ada = { name: 'Ada', role: 'engineer', email: 'ada@example.com', hiredOn: '2020-02-29' };
    expect((await call('POST', '/api/v1/workers', { json: ada, headers })).status).toBe(201);
  });

  test.for([
    [422, '{"all":true}'],
    [422, '[]'],
    [422, 'null'],
    [400, '{'],
    [413, JSON.stringify({ all: 'x'.repeat(101 * 1024) })],
  ] as const)('is %i with %s', async ([status, body]) => {
    expect((await call('POST', PATH, { body, headers: { 'content-type': 'application/json' } })).status).toBe(status);
    expect(await db.export.count()).toBe(0);
  });
});

describe('the list', () => {
  test('has the newest first, page after page', async () => {
    const ordered: string[] = [];
    for (let count = 0; count < 5; count += 1) ordered.unshift((await order()).id);
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const { body } = await call('GET', `${PATH}?limit=2${cursor}`);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      if (body.nextCursor === null) break;
      cursor = `&cursor=${body.nextCursor}`;
      await order(); // comes in front of what was seen
    }
    expect(seen).toEqual(ordered);
  });

  test.for(['limit=0', 'limit=201', 'limit=1&limit=2', 'sort=id', 'cursor=x'])(
    'may not be asked for %s',
    async (query) => {
      const answer = await call('GET', `${PATH}?${query}`);
      expect([answer.status, ...complaints(answer)]).toEqual([400, `query ${query.split('=')[0]}`]);
    },
  );

  test('takes no cursor of another list', async () => {
    const position = Buffer.from(JSON.stringify(['id', NOBODY, NOBODY])).toString('base64url');
    expect((await call('GET', `${PATH}?cursor=${position}`)).status).toBe(400);
  });
});

describe('an export', () => {
  test('tells how far it is', async () => {
    await db.worker.createMany({
      data: ['a', 'b'].map((name) => ({ name, role: 'cook', email: name, hiredOn: new Date(0) })),
    });
    const { id, path } = await order();
    const running = await report(id, { state: 'running', rowsDone: 1 });
    expect(running.body).toMatchObject({ state: 'running', rowsDone: 1, rowsTotal: 2, bytes: null });
    await db.worker.deleteMany();
    await report(id, { state: 'running', rowsDone: 2 });
    expect((await call('GET', path)).body).toMatchObject({ state: 'running', rowsDone: 2, rowsTotal: 2 });
    const done = await report(id, { state: 'done', rowsDone: 3, bytes: 5_000_000_000 });
    expect(done.body).toMatchObject({ state: 'done', rowsDone: 3, rowsTotal: 3, bytes: 5_000_000_000 });
    expect((await call('GET', path)).body).toEqual(done.body);
  });

  test('that failed tells why, as far as it can be stored', async () => {
    const { id, path } = await order();
    await report(id, { state: 'failed', reason: 'the disk\u0000 is full' });
    expect((await call('GET', path)).body).toMatchObject({ state: 'failed', reason: 'the disk is full' });
  });

  const progress = [
    { state: 'running', rowsDone: 7 },
    { state: 'done', rowsDone: 7, bytes: 7 },
    { state: 'failed', reason: 'no' },
  ];
  test.for(progress.slice(1))('that ended stays as it is: %j', async (end) => {
    const { id, path } = await order();
    const ended = await report(id, end);
    for (const late of progress) {
      const answer = await report(id, late);
      expect([answer.status, answer.body]).toEqual([200, ended.body]);
    }
    expect((await call('GET', path)).body).toEqual(ended.body);
  });

  test.for<[object, ...string[]]>([
    [{}, 'body state'],
    [{ state: 'queued' }, 'body state'],
    [{ state: 'running' }, 'body rowsDone'],
    [{ state: 'running', rowsDone: -1 }, 'body rowsDone'],
    [{ state: 'running', rowsDone: 2 ** 31 }, 'body rowsDone'],
    [{ state: 'running', rowsDone: 1, bytes: 1 }, 'body bytes'],
    [{ state: 'done', rowsDone: 1, bytes: 2 ** 53 }, 'body bytes'],
    [{ state: 'failed', reason: 'x'.repeat(1001) }, 'body reason'],
  ])('is not told nonsense such as %j', async ([json, ...expected]) => {
    const { id, path } = await order();
    const answer = await report(id, json);
    expect([answer.status, ...complaints(answer)]).toEqual([422, ...expected]);
    expect((await call('GET', path)).body.state).toBe('queued');
  });

  test.for([
    ['GET', `${PATH}/${NOBODY}`, 404],
    ['GET', `${PATH}/${NOBODY}/file`, 404],
    ['GET', `${PATH}/abc`, 400],
    ['GET', `${PATH}/abc/file`, 400],
    ['GET', `${PATH}/..%2f..%2fsecrets/file`, 400],
    ['PATCH', `${PATH}/${NOBODY}`, 405],
    ['DELETE', `${PATH}/${NOBODY}/file`, 405],
    ['PATCH', `/internal/v1/exports/${NOBODY}`, 404],
    ['PATCH', '/internal/v1/exports/abc', 400],
  ] as const)('%s %s is %i', async ([method, path, status]) => {
    const sent = method === 'PATCH' ? { json: { state: 'running', rowsDone: 0 } } : {};
    expect((await call(method, path, sent)).status).toBe(status);
  });
});

describe('the file', () => {
  test('is sent by the proxy once it is done', async () => {
    const { id, path } = await order();
    await report(id, { state: 'done', rowsDone: 0, bytes: 30 });
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await call(method, `${path}/file`);
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'x-accel-redirect': `/media/exports/${id}.csv`,
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': `attachment; filename="workers-${id}.csv"`,
      });
    }
  });

  test('is not there before, nor when it failed', async () => {
    const { id, path } = await order();
    const refusal = async () => {
      const { status, body, headers } = await call('GET', `${path}/file`);
      expect(headers['x-accel-redirect']).toBeUndefined();
      return [status, body.detail];
    };
    expect(await refusal()).toEqual([409, 'The export is queued: it has no file yet.']);
    await report(id, { state: 'running', rowsDone: 0 });
    expect(await refusal()).toEqual([409, 'The export is running: it has no file yet.']);
    await report(id, { state: 'failed', reason: 'no' });
    expect(await refusal()).toEqual([409, 'The export failed: it has no file.']);
  });
});
