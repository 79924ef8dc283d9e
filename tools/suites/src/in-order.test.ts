import { expect, test } from 'vitest';
import { inOrder } from './in-order.ts';
import type { Outcome } from './report.ts';
import { Interrupted } from './surroundings.ts';

const suite = (run: () => Promise<Outcome>) => ({ title: 'a suite', about: '', run });
const passes = suite(async () => ({ state: 'passed' }));
const breaks = suite(() => Promise.reject(new Error('it broke')));
const context = (signal = new AbortController().signal) => ({ root: '.', env: {}, say: () => undefined, signal });

test('a suite that breaks does not stop the others, one that is left out is skipped', async () => {
  const results = await inOrder({ breaks, left: passes, passes }, (name) => name !== 'left', context());
  expect(results.map(({ state }) => state)).toEqual(['failed', 'skipped', 'passed']);
  expect(results[0]).toMatchObject({ reason: 'it broke' });
  expect(results[1]).toMatchObject({ isLeftOut: true });
});

test('an interruption stops all of them', async () => {
  const controller = new AbortController();
  const interrupted = suite(async () => {
    controller.abort(new Interrupted(130));
    throw new Error('stopped');
  });
  const ran = inOrder({ interrupted, passes }, () => true, context(controller.signal));
  await expect(ran).rejects.toMatchObject({ exitCode: 130 });
});
