import { expect, test } from 'vitest';
import { prettyLine, type Style } from './pretty-line.ts';

const plain: Style = (_color, text) => text;
const time = new Date(2026, 0, 31, 12, 34, 56).toISOString();
const entry = (values: object) => JSON.stringify({ level: 'info', time, service: 'roster-api', ...values });

test('a log entry becomes a line: what its message does not say stands behind it', () => {
  const line = entry({ requestId: 'abc', method: 'GET', path: '/x', status: 200, msg: 'GET /x 200', extra: { a: 1 } });
  expect(prettyLine(line, plain)).toEqual(['12:34:56 INFO  GET /x 200 requestId=abc extra={"a":1}']);
});

test("an error's stack stands below, a line each", () => {
  const line = entry({
    level: 'error',
    err: { message: 'no', stack: 'Error: no\n    at here' },
    msg: 'request failed',
  });
  expect(prettyLine(line, plain)).toEqual(['12:34:56 ERROR request failed', '  Error: no', '      at here']);
});

test.each(['waiting for Postgres', '{ not JSON', '{"some":"other JSON"}', 'null', ''])('%o stays as it is', (line) => {
  expect(prettyLine(line, plain)).toEqual([line]);
});
