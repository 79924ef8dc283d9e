import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigError, parseConfig, port, postgresUrl } from './config.ts';

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

describe('the password of a URL that is given apart from it', () => {
  const apart = 'postgresql://u@h:5432/d?schema=s';
  const read = (environment: Record<string, string | undefined>) =>
    parseConfig({ DATABASE_URL: postgresUrl }, environment);
  const refused = (environment: Record<string, string>, words: string) =>
    expect(() => read(environment)).toThrow(new ConfigError(`  ${words}`));

  test('is put into it, whatever its characters, from a variable or a file', () => {
    const password = 'p@ss:/?#[]%41%\' \\"&=+é€\n!';
    const DATABASE_PASSWORD_FILE = secret(`${password}\n`);
    for (const given of [{ DATABASE_PASSWORD: password }, { DATABASE_PASSWORD_FILE }]) {
      const url = new URL(read({ DATABASE_URL: apart, ...given }).DATABASE_URL);
      expect(decodeURIComponent(url.password)).toBe(password);
      url.password = '';
      expect(url.href).toBe(apart);
    }
  });

  test('is put into a URL that comes from a file', () => {
    expect(read({ DATABASE_URL_FILE: secret(apart), DATABASE_PASSWORD: 'p' }).DATABASE_URL).toContain('//u:p@h:5432/');
  });

  test('brings the name of the second login, where it is that one', () => {
    const login = (password: string) => {
      const { username, password: own } = new URL(
        read({ DATABASE_URL: apart, DATABASE_PASSWORD: password }).DATABASE_URL,
      );
      return [username, decodeURIComponent(own)];
    };
    expect(login('u.2:p:q')).toEqual(['u.2', 'p:q']);
    expect(login('v.2:p')).toEqual(['u', 'v.2:p']);
  });

  test('is refused where there is one already, without either being printed', () => {
    refused(
      { DATABASE_URL: 'postgresql://u:hunter2@h/d', DATABASE_PASSWORD: 'hunter3' },
      'DATABASE_URL has a password already, and DATABASE_PASSWORD gives one too: leave one of them out',
    );
  });

  test('is refused where nobody has it', () => {
    refused(
      { DATABASE_URL: 'postgresql://h/d', DATABASE_PASSWORD: 'p' },
      'DATABASE_URL names no user, whose password DATABASE_PASSWORD would be',
    );
  });

  test('is refused where it is given twice, empty, or in a file that cannot be read', () => {
    const empty = secret('\n');
    refused(
      { DATABASE_URL: apart, DATABASE_PASSWORD: 'p', DATABASE_PASSWORD_FILE: secret('p') },
      'DATABASE_PASSWORD is given twice, as DATABASE_PASSWORD and as DATABASE_PASSWORD_FILE',
    );
    refused(
      { DATABASE_URL: apart, DATABASE_PASSWORD_FILE: empty },
      `DATABASE_PASSWORD is empty: the file ${empty} holds no password`,
    );
    refused(
      { DATABASE_URL: apart, DATABASE_PASSWORD_FILE: '/nowhere' },
      'DATABASE_PASSWORD cannot be read from /nowhere (ENOENT)',
    );
  });

  test('leaves the name of a URL that is missing or wrong in the message', () => {
    refused({ DATABASE_PASSWORD: 'p' }, 'DATABASE_URL is missing: set DATABASE_URL or DATABASE_URL_FILE');
    expect(() => read({ DATABASE_URL: 'h/d', DATABASE_PASSWORD: 'p' })).toThrow('DATABASE_URL must be a URL');
  });
});
