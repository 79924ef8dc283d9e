import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@keelson/http-client';
import { createLogger } from '@keelson/logger';
import type { JobContext } from '@keelson/queue';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exportWorkersHandler } from './export-workers.ts';
import { createRoster, type Worker } from './testing-roster.ts';

const exportId = '01890000-0000-7000-8000-000000000001';
const log = createLogger({ service: 'test', level: 'silent' });
const context: JobContext = { log, requestId: 'r1', attempt: 1, signal: new AbortController().signal };

let mediaDir: string;
let roster: Awaited<ReturnType<typeof createRoster>>;
beforeEach(() => {
  mediaDir = mkdtempSync(join(tmpdir(), 'media-'));
});
afterEach(async () => {
  await roster.close();
  rmSync(mediaDir, { recursive: true });
});

async function given(count: number, worker = (n: number): Partial<Worker> => ({ name: `Worker ${n}` })) {
  const base = { role: 'deckhand', email: 'a@example.com', hiredOn: '2020-02-29' };
  roster = await createRoster(count, (n) => ({ id: String(n), name: '', ...base, ...worker(n) }));
  roster.exports.set(exportId, { state: 'queued' });
  return exportWorkersHandler({ roster: createClient(roster.url), mediaDir });
}
const file = () => join(mediaDir, 'exports', `${exportId}.csv`);
const files = () => readdirSync(join(mediaDir, 'exports'));
const rows = () => readFileSync(file(), 'utf8').split('\r\n').slice(1, -1);

describe('the file', () => {
  test('is RFC 4180, to the byte', async () => {
    const nasty: Partial<Worker>[] = [
      { name: 'Ada' },
      { name: 'Smith, John', role: 'say "aye"', email: "o'neil@example.com" },
      { name: 'two\r\nlines', role: '' },
      { name: 'Zoë 船 🚢' },
    ];
    const { run } = await given(nasty.length, (n) => nasty[n]!);
    await run({ exportId }, context);
    expect(readFileSync(file(), 'utf8')).toBe(
      'id,name,role,email,hiredOn\r\n' +
        '0,Ada,deckhand,a@example.com,2020-02-29\r\n' +
        `1,"Smith, John","say ""aye""",o'neil@example.com,2020-02-29\r\n` +
        '2,"two\r\nlines",,a@example.com,2020-02-29\r\n' +
        '3,Zoë 船 🚢,deckhand,a@example.com,2020-02-29\r\n',
    );
  });

  test('of an empty roster has its header', async () => {
    const { run } = await given(0);
    await run({ exportId }, context);
    expect(readFileSync(file(), 'utf8')).toBe('id,name,role,email,hiredOn\r\n');
    expect(roster.exports.get(exportId)).toEqual({ state: 'done', rowsDone: 0, bytes: 28 });
  });

  test('has every page in order', async () => {
    const { run } = await given(1001);
    await run({ exportId }, context);
    expect(rows().map((row) => Number(row.split(',')[0]))).toEqual(Array.from({ length: 1001 }, (_, n) => n));
    expect(roster.calls.every(({ requestId }) => requestId === 'r1')).toBe(true);
  });

  test('of the same job run twice is the same', async () => {
    const { run } = await given(300);
    await run({ exportId }, context);
    const first = { content: readFileSync(file(), 'utf8'), inode: statSync(file()).ino };
    roster.exports.set(exportId, { state: 'running' }); // as after a death between the file and the report of it
    await run({ exportId }, { ...context, attempt: 2 });
    expect(readFileSync(file(), 'utf8')).toBe(first.content);
    expect(statSync(file()).ino).not.toBe(first.inode);
    expect(roster.exports.get(exportId)).toMatchObject({ state: 'done', rowsDone: 300 });
  });

  test('has its name only when it is whole', async () => {
    const { run } = await given(1000);
    const seen: unknown[] = [];
    roster.intercept = ({ progress }) => {
      seen.push(progress?.state === 'done' ? statSync(file()).size : existsSync(file()));
      return undefined;
    };
    await run({ exportId }, context);
    const { size } = statSync(file());
    expect(seen).toEqual([false, false, false, false, false, false, size]);
    expect(roster.exports.get(exportId)).toMatchObject({ bytes: size });
  });
});

test('progress is told while it is made', async () => {
  const { run } = await given(1000);
  roster.intercept = async ({ progress }) => {
    if (!progress) await new Promise((resolve) => setTimeout(resolve, 400));
    return undefined;
  };
  await run({ exportId }, context);
  const [first, ...others] = roster.progress();
  expect(first).toEqual({ state: 'running', rowsDone: 0 });
  expect(others.at(-1)).toEqual({ state: 'done', rowsDone: 1000, bytes: statSync(file()).size });
  const between = others.slice(0, -1);
  expect(between.length).toBeGreaterThan(0);
  for (const { state, rowsDone } of between) {
    expect(state).toBe('running');
    expect(rowsDone! % 200).toBe(0);
    expect(rowsDone).toBeGreaterThan(0);
  }
});

test.for(['done', 'failed'])('an export that is %s already is left as it is', async (state) => {
  const { run } = await given(300);
  roster.exports.set(exportId, { state });
  mkdirSync(join(mediaDir, 'exports'));
  writeFileSync(file(), 'as it was');
  await run({ exportId }, context);
  expect(readFileSync(file(), 'utf8')).toBe('as it was');
  expect(roster.calls).toHaveLength(1);
});

test('an export that is gone is no reason to try again, nor to tell of it', async () => {
  const { run, onGivenUp } = await given(300);
  roster.exports.clear();
  await run({ exportId }, context);
  await onGivenUp({ exportId }, 'No disk', context);
  expect(existsSync(file())).toBe(false);
});

describe('a failure in the middle', () => {
  const failAt = (cursor: string, status: number) => {
    roster.intercept = (call) => (call.cursor === cursor ? status : undefined);
  };

  test('leaves no file', async () => {
    const { run } = await given(1000);
    failAt('400', 500);
    await expect(run({ exportId }, context)).rejects.toThrow(/^GET .*: 500 The test answers 500\.$/);
    expect(files()).toEqual([]);
  });

  test('leaves the whole file that is there', async () => {
    const { run } = await given(1000);
    await run({ exportId }, context);
    const whole = readFileSync(file(), 'utf8');
    roster.exports.set(exportId, { state: 'running' });
    failAt('400', 500);
    await expect(run({ exportId }, context)).rejects.toThrow('500');
    expect(readFileSync(file(), 'utf8')).toBe(whole);
    expect(files()).toHaveLength(1);
  });

  test('for a while is outlasted', async () => {
    const { run } = await given(1000);
    let failures = 0;
    roster.intercept = ({ cursor }) => (cursor === '400' && (failures += 1) < 4 ? 503 : undefined);
    await run({ exportId }, context);
    expect(rows()).toHaveLength(1000);
  });

  test('that stays is told with its reason, and leaves nothing behind', async () => {
    const { onGivenUp } = await given(1000);
    mkdirSync(join(mediaDir, 'exports'));
    writeFileSync(`${file()}.1.part`, 'half');
    await onGivenUp({ exportId }, 'x'.repeat(2000), context);
    expect(roster.exports.get(exportId)).toEqual({ state: 'failed', reason: 'x'.repeat(1000) });
    expect(files()).toEqual([]);
  });
});

test('stops at once when it is interrupted', async () => {
  const { run } = await given(1000);
  const stop = new AbortController();
  const held = Promise.withResolvers<undefined>();
  roster.intercept = ({ cursor }) =>
    cursor === '400' ? (held.resolve(undefined), new Promise(() => undefined)) : undefined;
  const running = run({ exportId }, { ...context, signal: stop.signal });
  await held.promise;
  const from = performance.now();
  stop.abort();
  await expect(running).rejects.toThrow('abort');
  expect(performance.now() - from).toBeLessThan(500);
  expect(files()).toEqual([]);
});
