import { expect, test } from 'vitest';
import { exitCode, report, type Result } from './report.ts';

const passed: Result = { title: 'lint', seconds: 1.23, state: 'passed' };
const failed: Result = {
  title: 'unit and integration',
  seconds: 100,
  state: 'failed',
  reason: 'ended with 1: see above',
};
const skipped: Result = { title: 'containers', seconds: 0, state: 'skipped', reason: 'no Docker engine answers' };

test('a table says what each suite came to, the last line how many', () => {
  expect(report([passed, failed, skipped], false)).toEqual([
    '',
    'suite                 result   seconds',
    'lint                  passed       1.2',
    'unit and integration  failed     100.0  ended with 1: see above',
    'containers            skipped      0.0  no Docker engine answers',
    '',
    'suites: 1 passed, 1 failed, 1 skipped',
  ]);
});

test('a failure is an exit code, and in CI a suite that cannot run is one too, unless it was left out', () => {
  expect(exitCode([passed, skipped], false)).toBe(0);
  expect(exitCode([passed, failed], false)).toBe(1);
  expect(exitCode([passed], true)).toBe(0);
  expect(exitCode([passed, skipped], true)).toBe(1);
  expect(exitCode([passed, { ...skipped, isLeftOut: true }], true)).toBe(0);
  expect(report([skipped], true)).toContain('CI=true: a suite that cannot run fails the run.');
  expect(report([passed], true).at(-1)).toBe('suites: 1 passed, 0 failed, 0 skipped');
});
