import { describe, expect, test } from 'vitest';
import type { Entry, Write } from './ledger.ts';
import { person, type Worker } from './person.ts';
import { compare } from './verify.ts';

const RUN = 'load-test';
const NOON = Date.parse('2026-01-01T12:00:00Z');

const entry = (write: Write, n: number, version: number, more: Partial<Entry> = {}): Entry => ({
  at: NOON + version,
  write,
  n,
  id: `id-${n}`,
  version,
  acknowledged: true,
  ...more,
});
const create = (n: number, more?: Partial<Entry>) => entry('create', n, 1, more);
const change = (n: number, version: number, more?: Partial<Entry>) => entry('change', n, version, more);
const remove = (n: number, version: number, more?: Partial<Entry>) => entry('delete', n, version, more);
const unknown = { acknowledged: false };

const there = (n: number, version: number, more: Partial<Worker> = {}): Worker => ({
  ...person(RUN, n, version),
  id: `id-${n}`,
  createdAt: '',
  updatedAt: '',
  ...more,
});

const lost = (entries: Entry[], found: Worker[]) => compare(RUN, entries, found).lost;
const strange = (entries: Entry[], found: Worker[]) => compare(RUN, entries, found).strange.first;

describe('acknowledged writes', () => {
  test('are there', () => {
    const entries = [create(1), create(2), change(2, 2), create(3), remove(3, 1)];
    const verdict = compare(RUN, entries, [there(1, 1), there(2, 2)]);
    expect(verdict).toMatchObject({ acknowledged: 5, unknown: 0, lost: { count: 0 }, strange: { count: 0 } });
  });

  test.for<[string, Entry[], Worker[], Partial<Record<Write, number>>]>([
    ['a worker that is missing', [create(1)], [], { create: 1 }],
    ['a changed worker that is missing', [create(1), change(1, 2)], [], { create: 1, change: 1 }],
    ['a worker in an older version', [create(1), change(1, 2), change(1, 3)], [there(1, 1)], { change: 2 }],
    ['a deleted worker that is there', [create(1), remove(1, 1)], [there(1, 1)], { delete: 1 }],
    ['… and older', [create(1), change(1, 2), remove(1, 2)], [there(1, 1)], { change: 1, delete: 1 }],
    ['one before an unknown one', [create(1), change(1, 2), change(1, 3, unknown)], [there(1, 1)], { change: 1 }],
  ])('are lost: %s', ([, entries, found, writes]) => {
    expect(lost(entries, found).writes).toEqual({ create: 0, change: 0, delete: 0, ...writes });
  });

  test('are named when they are lost', () => {
    const [first] = lost([create(1), change(1, 2)], [there(1, 1)]).first;
    expect(first).toEqual({
      write: 'change',
      n: 1,
      id: 'id-1',
      version: 2,
      at: '2026-01-01T12:00:00.002Z',
      now: 'it is there in version 1',
    });
  });
});

describe('unknown writes may have happened or not', () => {
  test.for<[string, Entry[], Worker[][]]>([
    ['create', [create(1, unknown)], [[], [there(1, 1)]]],
    ['change', [create(1), change(1, 2, unknown)], [[there(1, 1)], [there(1, 2)]]],
    ['delete', [create(1), remove(1, 1, unknown)], [[], [there(1, 1)]]],
  ])('%s', ([, entries, outcomes]) => {
    for (const found of outcomes)
      expect(compare(RUN, entries, found)).toMatchObject({ unknown: 1, lost: { count: 0 }, strange: { count: 0 } });
  });
});

describe('what nobody has written is strange', () => {
  test.for<[string, Entry[], Worker, RegExp]>([
    ['another name', [create(1)], there(1, 1, { name: 'Eve' }), /nobody has written .*Eve/],
    ['fields that do not belong together', [create(1)], there(1, 1, { hiredOn: '1999-01-01' }), /nobody has written/],
    ['another worker', [create(1)], there(2, 1), /nobody has created worker 2/],
    ['a version ahead', [create(1)], there(1, 2), /worker 1 is there in version 2, which nobody has written/],
    ['another id', [create(1)], there(1, 1, { id: 'id-9' }), /worker 1 has the id id-9 instead of id-1/],
    ['a touched row', [create(1, { updatedAt: 'a' })], there(1, 1, { updatedAt: 'b' }), /changed at b instead of a/],
  ])('%s', ([, entries, found, sentence]) => {
    const faults = strange(entries, [found]);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(sentence);
  });

  test('a worker twice', () => {
    expect(strange([create(1)], [there(1, 1), there(1, 1)])).toEqual(['worker 1 is there twice']);
  });
});

test('the ages of the oldest lost and of the youngest surviving write are told before an instant', () => {
  const at = (ms: number) => ({ at: NOON - ms });
  const entries = [create(1, at(5000)), create(2, at(900)), create(3, at(700)), create(4, at(100))];
  const { beforeInstant } = compare(RUN, entries, [there(1, 1), there(2, 1)], NOON);
  expect(beforeInstant).toEqual({ oldestLost: 700, youngestSurviving: 900 });
  expect(compare(RUN, [], [], NOON).beforeInstant).toEqual({ oldestLost: null, youngestSurviving: null });
});
