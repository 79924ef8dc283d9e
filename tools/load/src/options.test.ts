import { expect, test } from 'vitest';
import { readOptions } from './options.ts';

test('run and verify take what they need', () => {
  expect(readOptions('run --url http://a --ledger l --for 1.5 --at-least 10 --ca c --connect b:1'.split(' '))).toEqual({
    command: 'run',
    options: { url: 'http://a', connect: 'b:1', ca: 'c', ledger: 'l', rate: 300, atLeast: 10, timeoutMs: undefined },
    seconds: 1.5,
    untilStdinEnds: false,
  });
  const instant = ['--instant', '2026-01-01T00:00:00Z'];
  expect(readOptions(['verify', '--url', 'u', '--ledger', 'l', ...instant])).toMatchObject({
    command: 'verify',
    options: { url: 'u', ledger: 'l', instant: 1_767_225_600_000 },
  });
  expect(readOptions(['--help'])).toEqual({ command: 'help' });
});

test.for([
  ['', 'The command is run or verify'],
  ['walk --url u --ledger l', 'The command is run or verify'],
  ['run more --url u --ledger l', 'The command is run or verify'],
  ['run --ledger l', '--url is missing'],
  ['verify --url u', '--ledger is missing'],
  ['run --url u --ledger l --rate fast', '--rate takes a positive number, not fast'],
  ['run --url u --ledger l --for 0', '--for takes a positive number, not 0'],
  ['verify --url u --ledger l --instant noon', '--instant takes a time such as'],
  ['run --fast', "Unknown option '--fast': --help says more"],
] as const)('%j is refused with a sentence', ([args, sentence]) => {
  expect(() => readOptions(args.split(' ').filter(Boolean))).toThrow(sentence);
});
