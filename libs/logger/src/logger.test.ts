import { expect, test } from 'vitest';
import { createLogger } from './logger.ts';

function capture() {
  const lines: string[] = [];
  return { lines, stream: { write: (line: string) => void lines.push(line) } };
}

test('writes one JSON line with level, time, service and the request it belongs to', () => {
  const { lines, stream } = capture();
  createLogger({ service: 'roster-api', level: 'info' }, stream)
    .child({ requestId: 'r1' })
    .info({ rows: 3 }, 'line\nbreak');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n]+\n$/);
  const line = JSON.parse(lines[0]!);
  expect(line).toMatchObject({ level: 'info', service: 'roster-api', requestId: 'r1', rows: 3, msg: 'line\nbreak' });
  expect(new Date(line.time).getTime()).toBeGreaterThan(0);
});

test('leaves out what is below its level, and secrets', () => {
  const { lines, stream } = capture();
  const log = createLogger({ service: 'x', level: 'warn' }, stream);
  log.info('quiet');
  log.warn({ headers: { authorization: 'Bearer abc', cookie: 'c=1' } }, 'loud');
  expect(lines.join('')).not.toMatch(/quiet|Bearer|c=1/);
});
