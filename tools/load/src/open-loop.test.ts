import { expect, test } from 'vitest';
import { openLoop } from './open-loop.ts';

test('what is due while this process is busy starts late, and is told when it was due', async () => {
  const stop = new AbortController();
  const due: number[] = [];
  const began = performance.now();
  await openLoop(1000, stop.signal, (at) => {
    due.push(at);
    if (due.length === 50) while (performance.now() - at < 200);
    if (due.length === 300) stop.abort();
  });
  const gaps = due.slice(1).map((at, index) => at - due[index]!);
  expect(Math.min(...gaps)).toBeCloseTo(1, 5);
  expect(Math.max(...gaps)).toBeCloseTo(1, 5);
  expect(performance.now() - began).toBeGreaterThan(295);
});

test('a signal that has come already starts nothing', async () => {
  let started = 0;
  await openLoop(1000, AbortSignal.abort(), () => started++);
  expect(started).toBe(0);
});
