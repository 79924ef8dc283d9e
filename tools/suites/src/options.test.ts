import { expect, test } from 'vitest';
import { readOptions } from './options.ts';

const NAMES = ['lint', 'types', 'unit'];
const chosen = (...args: string[]) => NAMES.filter(readOptions(args, NAMES).chosen);

test('all suites run unless some are named', () => {
  expect(chosen()).toEqual(NAMES);
  expect(chosen('--only', 'types,lint')).toEqual(['lint', 'types']);
  expect(chosen('--only=types', '--only=lint')).toEqual(['lint', 'types']);
  expect(chosen('--skip', 'lint')).toEqual(['types', 'unit']);
  expect(chosen('--only', 'lint,types', '--skip', 'lint')).toEqual(['types']);
});

test('one that takes long runs when it is named', () => {
  const chosen = (...args: string[]) => NAMES.filter(readOptions(args, NAMES, ['unit']).chosen);
  expect(chosen()).toEqual(['lint', 'types']);
  expect(chosen('--skip', 'lint')).toEqual(['types']);
  expect(chosen('--only', 'unit')).toEqual(['unit']);
});

test.for([
  [['--only', 'nonsense'], 'There is no suite "nonsense": there are lint, types, unit'],
  [['--skip', ''], 'There is no suite "": there are lint, types, unit'],
  [['--skip', 'lint,types,unit'], '--only and --skip leave no suite to run'],
  [['--fast'], "Unknown option '--fast': npm test -- --help lists the options"],
  [['lint'], "Unexpected argument 'lint': npm test -- --help lists the options"],
] as const)('%j is refused with a sentence', ([args, sentence]) => {
  expect(() => readOptions([...args], NAMES)).toThrow(sentence);
});
