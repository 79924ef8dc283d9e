import { expect, test } from 'vitest';
import { createOutput } from './output.ts';

function capture(format: 'pretty' | 'json', isTTY = false) {
  const written = { logs: '', own: '' };
  const stream = { isTTY, write: (text: string) => (written.logs += text) };
  const errors = { isTTY, write: (text: string) => (written.own += text) };
  return { written, output: createOutput({ format, names: ['api', 'a-worker'], stream, errors }) };
}

test('a step is told when it is done, with what came of it', async () => {
  const { output, written } = capture('pretty');
  expect(
    await output.step(
      'migrations',
      async () => 2,
      (count) => `applied ${count}`,
    ),
  ).toBe(2);
  expect(written.logs).toMatch(/^ {2}✓ migrations: applied 2 \(0\.\d s\)\n$/);
});

test('a step that fails is not told: its error is', async () => {
  const { output, written } = capture('pretty');
  await expect(output.step('migrations', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(written.logs).toBe('');
});

test('service names stand in one column', () => {
  const { output, written } = capture('pretty');
  output.log('api', 'one');
  output.log('a-worker', 'two');
  expect(written.logs).toBe('api      one\na-worker two\n');
});

test('on a terminal the last line says what is under way', async () => {
  const { output, written } = capture('pretty', true);
  await output.step('waiting', async () => output.log('api', 'one'));
  const visible = written.logs.replaceAll(/\x1b\[\d+m/g, '').split('\r\x1b[K');
  expect(visible).toEqual([
    '',
    '  … waiting',
    expect.stringMatching(/^api {6}one\n {2}… waiting$/),
    expect.stringMatching(/^ {2}✓/),
  ]);
});

test("as JSON, nothing but the services' own lines is on standard output", () => {
  const { output, written } = capture('json');
  output.say('Keelson');
  output.log('api', '{"level":"info"}');
  expect(written).toEqual({ logs: '{"level":"info"}\n', own: 'Keelson\n' });
});
