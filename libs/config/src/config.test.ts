import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseConfig, port, postgresUrl } from './config.ts';

const shape = { PORT: port.default(3000), DATABASE_URL: postgresUrl, TOKEN: z.string().min(3) };
const url = 'postgresql://u:p@h:5432/d';

function secret(content: string) {
  const file = join(mkdtempSync(join(tmpdir(), 'config-')), 'secret');
  writeFileSync(file, content);
  return file;
}

test('reads values, defaults and secrets from files without their last line end', () => {
  const config = parseConfig(shape, { DATABASE_URL: url, TOKEN_FILE: secret('s3 cret \n') });
  expect(config).toEqual({ PORT: 3000, DATABASE_URL: url, TOKEN: 's3 cret ' });
});

test('names every bad variable at once', () => {
  const read = () => parseConfig(shape, { PORT: '70000', DATABASE_URL: 'mysql://x', TOKEN_FILE: '/nowhere' });
  for (const words of [
    'PORT must be a whole number from 0 to 65535',
    'DATABASE_URL must be a URL',
    'TOKEN cannot be read from /nowhere (ENOENT)',
  ])
    expect(read).toThrow(words);
});

test('says that a variable is missing, and that an empty one counts as missing', () => {
  expect(() => parseConfig(shape, { TOKEN: 'abc' })).toThrow(
    'DATABASE_URL is missing: set DATABASE_URL or DATABASE_URL_FILE',
  );
  expect(() => parseConfig(shape, { TOKEN: 'abc', DATABASE_URL: '' })).toThrow('DATABASE_URL is missing');
});

test('refuses a value that is given twice', () => {
  expect(() => parseConfig(shape, { DATABASE_URL: url, TOKEN: 'abc', TOKEN_FILE: secret('abc') })).toThrow(
    'TOKEN is given twice',
  );
});

test('never prints a value', () => {
  expect(() => parseConfig(shape, { DATABASE_URL: 'mysql://user:hunter2@h/d', TOKEN: 'abc' })).not.toThrow('hunter2');
});
