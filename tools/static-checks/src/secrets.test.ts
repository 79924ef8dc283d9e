import { expect, test } from 'vitest';
import { secrets } from './secrets.ts';
import { problemsOf } from './testing.ts';

// In two parts, so that this file has none.
const key = `-----BEGIN RSA ${'PRIVATE KEY'}-----\n${'MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn'.repeat(4)}\n-----END RSA ${'PRIVATE KEY'}-----\n`;
const url = (password: string) => `\nconst url = 'postgresql:${'//'}me:${password}@db:5432/roster';\n`;

test.for([
  ['a private key', key, 1],
  ['a password in a URL', url('correct-horse'), 2],
  ['a token', `token: ghp${'_wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'}\n`, 1],
] as const)('%s is found, and not printed', async ([, text, line]) => {
  const problems = await problemsOf(secrets, { 'a.txt': text });
  expect(problems).toMatchObject([{ file: 'a.txt', line }]);
  expect(JSON.stringify(problems)).not.toMatch(/correct-horse|wWPw5k4a|MIIEpAIB/);
});

test('what is invented is not', async () => {
  expect(await problemsOf(secrets, { 'a.ts': url('hunter2'), 'b.ts': url('${password}') })).toEqual([]);
});
