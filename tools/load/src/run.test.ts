import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLedger } from './ledger.ts';
import { person } from './person.ts';
import { runLoad, type RunOptions } from './run.ts';
import { toyRoster, type Misbehaviour } from './toy-roster.ts';
import { verify } from './verify.ts';

let toy: Awaited<ReturnType<typeof toyRoster>>;
let folder: string;
beforeEach(async () => {
  toy = await toyRoster();
  folder = mkdtempSync(join(tmpdir(), 'keelson-load-'));
});
afterEach(() => {
  toy.close();
  rmSync(folder, { recursive: true });
});

const said: string[] = [];
/** A load of as many requests. */
const load = (atLeast: number, options: Partial<RunOptions> = {}) => {
  said.length = 0;
  const all = { url: toy.url, ledger: join(folder, 'ledger'), rate: 500, slowMs: 100, atLeast, ...options };
  return runLoad(all, AbortSignal.abort(), (line) => said.push(line));
};

/** The toy does this to every so-and-so-many-th request. */
function misbehave(every: number, how: Misbehaviour, which: { method?: string; first?: boolean } = {}) {
  let count = 0;
  toy.misbehave(({ method, first }) => {
    if (which.method && which.method !== method) return undefined;
    if (which.first !== undefined && which.first !== first) return undefined;
    return ++count % every === 0 ? how : undefined;
  });
  return { count: () => Math.floor(count / every) };
}

test('a server that is as it should be fails nothing, and keeps every write', { timeout: 60_000 }, async () => {
  const report = await load(1000);
  expect(report.failures).toEqual({ kinds: {}, first: [] });
  expect(report).toMatchObject({ requests: 1000, succeeded: 1000, failed: 0, reads: 800, writes: 200, unknown: 0 });
  const { create, change, delete: deleted } = report.acknowledged;
  expect(toy.seen.requests).toBe(1000);
  expect(toy.rows.size).toBe(create - deleted);
  expect(Math.min(change, deleted)).toBeGreaterThan(0);
  expect(report.status).toMatchObject({ 200: expect.any(Number), 201: expect.any(Number), 304: expect.any(Number) });
  expect(said[0]).toContain('the first request has succeeded');
  const verdict = await verify({ url: toy.url, ledger: join(folder, 'ledger') });
  expect(verdict).toMatchObject({ acknowledged: create + change + deleted, unknown: 0 });
  expect(verdict).toMatchObject({ lost: { count: 0 }, strange: { count: 0 } });
});

test('every request has the token that a command prints', async () => {
  await load(50, { tokenCommand: 'echo a-token' });
  await verify({ url: toy.url, ledger: join(folder, 'ledger'), tokenCommand: 'echo a-token' });
  expect(toy.seen.tokens).toEqual(new Set(['Bearer a-token']));
  await expect(load(50, { tokenCommand: 'exit 3' })).rejects.toThrow('exit 3');
});

test('clients differ in how they keep connections, and in how slow they are', { timeout: 60_000 }, async () => {
  const { clients, latency } = await load(600, { rate: 250, slowMs: 2000 });
  expect(clients.kept.requests).toBeGreaterThan(400);
  expect(clients.kept.connections).toBeLessThan(clients.kept.requests);
  expect(clients.seldom.connections).toBeGreaterThan(0);
  expect(clients.fresh.connections).toBe(clients.fresh.requests);
  expect(clients['slow writer'].requests).toBe(18);
  expect(toy.seen.bodySeconds.filter((seconds) => seconds > 1)).toHaveLength(18);
  expect(clients['slow reader'].requests).toBe(18);
  expect(latency.slow.p50).toBeGreaterThan(1000);
  expect(latency.slow.p50).toBeGreaterThan(latency.quick.p50);
});

describe('a failure is seen and counted', { timeout: 60_000 }, () => {
  test.for([
    ['status 503', { does: 'answer', status: 503 }, {}],
    ['status 429', { does: 'answer', status: 429 }, {}],
    ['reset', { does: 'reset' }, { first: true }],
    ['reset on a kept connection', { does: 'reset' }, { first: false }],
    ['timeout', { does: 'hang' }, {}],
    ['cut short', { does: 'cut short' }, {}],
    ['contradiction', { does: 'send rubbish' }, {}],
    ['contradiction', { does: 'forget' }, { method: 'PATCH' }],
    ['contradiction', { does: 'answer', status: 412 }, { method: 'PATCH' }],
  ] as const)('%s, when it does %j to %j', async ([kind, how, which]) => {
    const wrong = misbehave(10, how, which);
    const report = await load(300, { timeoutMs: 1000 });
    expect(wrong.count()).toBeGreaterThan(0);
    expect(report.failures.kinds).toEqual({ [kind]: wrong.count() });
    expect(report).toMatchObject({ failed: wrong.count(), succeeded: 300 - wrong.count() });
    const [first] = report.failures.first;
    expect(first).toMatchObject({ kind, requestId: expect.stringMatching(`^${report.run}-\\d+$`) });
    expect(first!.what).toMatch(/^(GET|POST|PATCH|DELETE) \/api\/v1\/workers/);
    expect(report.failures.first.length).toBeLessThanOrEqual(5);
    expect(Object.values(report.clients).reduce((sum, { failed }) => sum + failed, 0)).toBe(wrong.count());
    expect(Object.values(report.operations).reduce((sum, { failed }) => sum + failed, 0)).toBe(wrong.count());
  });

  test.for([
    ['revert', /is version 1, although version [2-9] was acknowledged$/],
    ['forget', /status 404/],
  ] as const)('contradiction, when reads %s what was acknowledged', async ([does, what]) => {
    toy.misbehave(({ method }) => (method === 'GET' ? { does } : undefined));
    const { failures } = await load(300);
    expect(failures.kinds['contradiction']).toBeGreaterThan(0);
    expect(failures.first[0]!.what).toMatch(what);
  });

  test('when nobody listens', async () => {
    toy.close();
    const report = await load(20);
    expect(report.failures.kinds).toEqual({ refused: 20 });
    expect(report.gap.ms).toBeGreaterThanOrEqual(30);
  });

  test('a write without an answer is unknown, and verified either way', async () => {
    let writes = 0;
    toy.misbehave(({ method }) => (method !== 'GET' && ++writes % 5 === 0 ? { does: 'reset' } : undefined));
    const report = await load(400);
    expect(report.failed).toBe(Math.floor(writes / 5));
    expect(report.unknown).toBeGreaterThan(0);
    toy.misbehave(() => undefined);
    const verdict = await verify({ url: toy.url, ledger: join(folder, 'ledger') });
    expect(verdict).toMatchObject({ unknown: report.unknown, lost: { count: 0 }, strange: { count: 0 } });
  });
});

test('requests start on time while the server stalls, and their waiting counts', { timeout: 60_000 }, async () => {
  const report = load(500);
  await expect.poll(() => toy.seen.requests, { timeout: 30_000 }).toBeGreaterThan(50);
  const goOn = toy.stall();
  const [before, began] = [toy.seen.requests, performance.now()];
  // However busy this machine is, more come than there are clients that could wait for an answer first.
  await expect.poll(() => toy.seen.requests, { timeout: 30_000 }).toBeGreaterThan(before + 200);
  await expect.poll(() => performance.now() - began).toBeGreaterThan(600);
  goOn();
  const { failed, latency, gap, clients } = await report;
  expect(failed).toBe(0);
  expect(latency.quick.p95).toBeGreaterThan(300);
  expect(latency.quick.max).toBeGreaterThan(500);
  expect(gap.ms).toBeGreaterThan(500);
  expect(clients.kept.connections).toBeGreaterThan(100);
});

test.for([
  ['POST', 'create'],
  ['PATCH', 'change'],
  ['DELETE', 'delete'],
] as const)('a %s that the server acknowledged and lost is found', { timeout: 60_000 }, async ([lost, write]) => {
  toy.misbehave(({ method }) => (method === lost ? { does: 'lose' } : undefined));
  const before = Date.now();
  await load(200);
  const after = Date.now();
  const verdict = await verify({ url: toy.url, ledger: join(folder, 'ledger'), instant: after });
  expect(verdict.lost.writes[write]).toBeGreaterThan(0);
  expect(verdict.beforeInstant!.oldestLost).toBeGreaterThanOrEqual(0);
  expect(verdict.beforeInstant!.oldestLost).toBeLessThan(after - before);
});

test('verify reads all pages', async () => {
  const file = openLedger(join(folder, 'ledger'), 'load-pages');
  for (let n = 1; n <= 450; n++) {
    const id = `id-${n}`;
    file.add({ at: Date.now(), write: 'create', n, id, version: 1, acknowledged: true });
    toy.rows.set(id, { ...person('load-pages', n, 1), id, createdAt: '', updatedAt: '', version: 1 });
  }
  await file.close();
  const verdict = () => verify({ url: toy.url, ledger: join(folder, 'ledger') });
  expect(await verdict()).toMatchObject({ acknowledged: 450, lost: { count: 0 }, strange: { count: 0 } });
  toy.rows.delete('id-449');
  expect(await verdict()).toMatchObject({ lost: { count: 1, first: [{ n: 449 }] }, strange: { count: 0 } });
});

test('a stack that cannot be read is an error, not a verdict', async () => {
  await load(20);
  toy.misbehave(() => ({ does: 'answer', status: 503 }));
  await expect(verify({ url: toy.url, ledger: join(folder, 'ledger') })).rejects.toThrow(/answered 503/);
});
