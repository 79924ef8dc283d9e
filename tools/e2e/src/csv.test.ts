import { describe, expect, test } from 'vitest';
import { readCsv } from './csv.ts';

describe('readCsv', () => {
  test('reads what RFC 4180 allows', () => {
    expect(readCsv('a,b\r\n"x, ""y""","1\r\n2"\r\n,\r\n')).toEqual([
      ['a', 'b'],
      ['x, "y"', '1\r\n2'],
      ['', ''],
    ]);
  });

  test.for(['a,b', 'a,b\n', 'a"b\r\n', '"a\r\n', '"a"b\r\n', 'a,b\r\nc,'])('refuses %j', (text) => {
    expect(() => readCsv(text)).toThrow();
  });
});
