import { describe, expect, test, vi } from 'vitest';
import { call, json } from './api.ts';
import { readCsv } from './csv.ts';
import { hireAll, listed, pages, unique, type Page, type Worker } from './roster.ts';

type Export = {
  id: string;
  state: 'queued' | 'running' | 'done' | 'failed';
  reason: string | null;
  rowsDone: number;
  rowsTotal: number | null;
  bytes: number | null;
  createdAt: string;
  updatedAt: string;
};

const WAIT_MS = 120_000;
const STATES = ['queued', 'running', 'done'];
const at = ({ id }: { id: string }) => `/api/v1/exports/${id}`;
const row = ({ id, name, role, email, hiredOn }: Worker) => [id, name, role, email, hiredOn];

async function order(): Promise<Export> {
  const answer = await call('POST', '/api/v1/exports');
  expect(answer.status, answer.text).toBe(202);
  expect(answer.headers.location).toBe(at(json<Export>(answer)));
  return json(answer);
}

/** The export once it is done, and what it said of itself on the way. */
async function finished(ordered: Export): Promise<{ done: Export; said: Export[] }> {
  const said = [ordered];
  const done = await vi.waitFor(
    async () => {
      const now = json<Export>(await call('GET', at(ordered)));
      said.push(now);
      if (now.state !== 'failed') expect(now).toMatchObject({ state: 'done' });
      return now;
    },
    { timeout: WAIT_MS, interval: 100 },
  );
  expect(done).toMatchObject({ state: 'done', reason: null });
  return { done, said };
}

describe('an export', { timeout: 2 * WAIT_MS }, () => {
  test('has every row of the roster as it is', async () => {
    const role = unique();
    const nasty = [
      'plain',
      'comma, comma',
      'quo"te',
      '"quoted"',
      'Zoë 船 🚢',
      "O'Neil",
      '=1+1',
      'a;b\\c',
      "'",
      '""',
      'a\u2028b',
    ];
    const [gone, ...crew] = await hireAll(['gone', ...nasty].map((name) => ({ role, name })));
    expect((await call('DELETE', `/api/v1/workers/${gone!.id}`)).status).toBe(204);
    const before = await listed('/api/v1/workers?limit=200');

    const { done } = await finished(await order());
    const file = await call('GET', `${at(done)}/file`);
    expect(file.status).toBe(200);
    const after = new Map((await listed('/api/v1/workers?limit=200')).map((worker) => [worker.id, worker]));

    const [header, ...records] = readCsv(file.text);
    expect(header).toEqual(['id', 'name', 'role', 'email', 'hiredOn']);
    const written = new Map(records.map((record) => [record[0]!, record]));
    expect(written.size).toBe(records.length);
    expect(written.has(gone!.id)).toBe(false);
    expect(crew.map(({ id }) => written.get(id))).toEqual(crew.map(row));
    // Others may use the stack at the same time: what was there before and after, unchanged, was there throughout.
    const steady = before.filter((worker) => after.get(worker.id)?.updatedAt === worker.updatedAt);
    expect(steady.length).toBeGreaterThanOrEqual(crew.length);
    expect(steady.filter((worker) => JSON.stringify(written.get(worker.id)) !== JSON.stringify(row(worker)))).toEqual(
      [],
    );
  });

  test('tells how far it is, and at the end what it wrote', async () => {
    await hireAll([{}, {}]);
    const { done, said } = await finished(await order());
    const states = said.map(({ state }) => STATES.indexOf(state));
    expect(states).toEqual(states.toSorted((a, b) => a - b));
    const rows = said.map(({ rowsDone }) => rowsDone);
    expect(rows).toEqual(rows.toSorted((a, b) => a - b));

    const file = await call('GET', `${at(done)}/file`);
    expect(done.rowsDone).toBe(readCsv(file.text).length - 1);
    expect(done.rowsTotal).toBe(done.rowsDone);
    expect(done.bytes).toBe(file.bytes.length);
  });

  test('comes as a file, whole or in parts', async () => {
    await hireAll([{ name: 'Zoë 船' }]);
    const { done } = await finished(await order());
    const path = `${at(done)}/file`;
    const whole = await call('GET', path);
    expect(whole.headers['content-type']).toMatch(/^text\/csv; *charset=utf-8$/i);
    expect(whole.headers['cache-control']).toBe('private, no-store');
    expect(whole.headers['content-disposition']).toMatch(/^attachment; *filename="?[\w.-]+\.csv"?/);
    expect(whole.headers['x-accel-redirect']).toBeUndefined();
    expect(Number(whole.headers['content-length'])).toBe(done.bytes);

    const head = await call('HEAD', path);
    expect([head.status, Number(head.headers['content-length'])]).toEqual([200, done.bytes]);

    const part = async (range: string) => call('GET', path, { headers: { range: `bytes=${range}` } });
    const half = Math.floor(whole.bytes.length / 2);
    const [first, second] = [await part(`0-${half - 1}`), await part(`${half}-`)];
    expect([first.status, second.status]).toEqual([206, 206]);
    expect(first.headers['content-range']).toBe(`bytes 0-${half - 1}/${whole.bytes.length}`);
    expect(Buffer.concat([first.bytes, second.bytes])).toEqual(whole.bytes);
    const beyond = await part(`${whole.bytes.length}-`);
    expect(beyond.status).toBe(416);
    expect(beyond.headers['content-range']).toBe(`bytes */${whole.bytes.length}`);
    // No connection is closed without a word: the next request would come to nothing.
    for (let time = 0; time < 5; time++)
      expect((await call('GET', path, { headers: { 'if-match': '"other"' } })).status).toBe(412);
  });

  test('has no file before it is done', async () => {
    for (let attempt = 0; attempt < 3; attempt++) {
      const ordered = await order();
      const { status } = await call('GET', `${at(ordered)}/file`);
      expect([409, 200]).toContain(status);
      // A worker can be that fast. Then the export says so.
      if (status === 200) expect(json(await call('GET', at(ordered)))).toMatchObject({ state: 'done' });
      await finished(ordered);
      expect((await call('HEAD', `${at(ordered)}/file`)).status).toBe(200);
    }
  });

  test('is ordered once with an Idempotency-Key, with an empty object for a body as with none', async () => {
    const headers = { 'idempotency-key': unique() };
    const first = await call('POST', '/api/v1/exports', { headers });
    const again = await call('POST', '/api/v1/exports', { headers, json: {} });
    expect([first.status, again.status]).toEqual([202, 202]);
    expect(json(again)).toEqual(json(first));
    await finished(json(first));
  });
});

describe('the list of exports', { timeout: 3 * WAIT_MS }, () => {
  test('has the newest first, and pages', async () => {
    const ordered = [await order(), await order(), await order()];
    const mine = new Set(ordered.map(({ id }) => id));
    const seen: Export[] = [];
    for await (const items of pages<Export>('/api/v1/exports?limit=1')) {
      expect(items.length).toBeLessThanOrEqual(1);
      seen.push(...items);
      if (seen.filter(({ id }) => mine.has(id)).length === mine.size) break;
    }
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
    expect(seen.map(({ id }) => id).filter((id) => mine.has(id))).toEqual([...mine].toReversed());
    const page = json<Page<Export>>(await call('GET', '/api/v1/exports?limit=200'));
    expect(page.items.map(({ id }) => id)).toEqual(expect.arrayContaining([...mine]));
    for (const one of ordered) await finished(one);
  });
});

test.for(['', '/file'])('an unknown export%s is not found', async (rest) => {
  expect((await call('GET', `/api/v1/exports/01890000-0000-7000-8000-000000000000${rest}`)).status).toBe(404);
});
