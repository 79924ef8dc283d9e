import { expect, test } from 'vitest';
import { csvLine } from './csv.ts';

test.for([
  [['plain', 'two words'], 'plain,two words\r\n'],
  [['', ''], ',\r\n'],
  [['a,b', 'c'], '"a,b",c\r\n'],
  [['say "hi"', '"'], '"say ""hi""",""""\r\n'],
  [['one\ntwo', 'one\r\ntwo', '\r'], '"one\ntwo","one\r\ntwo","\r"\r\n'],
  [[' Zoë 船 🚢 ', "O'Neil", 'a;b\tc', '=1+1'], " Zoë 船 🚢 ,O'Neil,a;b\tc,=1+1\r\n"],
] as const)('%j', ([fields, line]) => {
  expect(csvLine([...fields])).toBe(line);
});
