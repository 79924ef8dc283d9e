import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { succeeded } from '../compose/compose-stack.ts';
import { services } from '../compose/fresh-clone.ts';
import { killed } from '../production/killed.ts';
import { sentence } from '../production/sentence.ts';
import { deployed, stack, unnoticed } from './deployed.ts';

// scripts/secrets rotate, while clients ask.

type Login = { user: string; password: string };

/** Of the secrets of the stack: as whom each service comes, the migrator and the superuser. */
function logins(): Record<string, Login> {
  const names = [...services, 'migrator', 'postgres'];
  return Object.fromEntries(
    names.map((name) => {
      const secret = readFileSync(join(deployed.folder, '.secrets/e2e', `${name}-password`), 'utf8').trim();
      const [password, user = name.replaceAll('-', '_')] = secret.split(':').toReversed() as [string, string?];
      return [name, { user, password }];
    }),
  );
}

/** Whether the database lets each in, over the network. */
async function letsIn(some: Record<string, Login>) {
  const tried = Object.entries(some).map(async ([name, { user, password }]) => {
    const psql = ['psql', '--host=postgres', `--username=${user}`, '--dbname=keelson', '--command=SELECT 1'];
    const { status, output } = await stack.compose('exec', '-T', `--env=PGPASSWORD=${password}`, 'postgres', ...psql);
    if (status !== 0) expect(output).toContain(`password authentication failed for user "${user}"`);
    return [name, status === 0];
  });
  return Object.fromEntries(await Promise.all(tried));
}
const each = <T>(value: T) => Object.fromEntries(Object.keys(logins()).map((name) => [name, value]));

const rotate = (...environment: string[]) => stack.run('env', ...environment, 'scripts/secrets', 'rotate');

/** With containers of both logins. */
const killedRotation = () => killed(stack, deployed.folder, 'scripts/secrets rotate');

test('the passwords of the database change, also after one that failed and one that was killed, and no request fails', async () => {
  const before = logins();
  expect(await letsIn(before)).toEqual(each(true));

  await unnoticed(async () => {
    const failed = await rotate('ROSTER_API_MEMORY=8m');
    expect([failed.status, sentence(failed.output)]).toEqual([
      1,
      expect.stringMatching(/^roster-api v1 does not start: its container ended with exit code \d+\.$/),
    ]);
    expect(logins()).toEqual({ ...before, postgres: expect.anything() });
    expect(await letsIn(logins())).toEqual(each(true));

    await killedRotation();
    const between = logins();
    const { output } = await rotate().then((ran) => (succeeded(ran), ran));
    expect(sentence(output)).toBe('The passwords of the database of the stack e2e have changed.');
    expect(output).toMatch(
      / a rotation has not ended: (identity_api|exports_worker|roster_api), .* may still be in use\n/,
    );
    expect(await letsIn(between)).toEqual(each(false));
    for (const service of services) expect(new Set([between[service]!.user, logins()[service]!.user]).size).toBe(2);
    for (const { password } of Object.values(logins())) expect(failed.output + output).not.toContain(password);
  });

  const after = logins();
  expect(await letsIn(after)).toEqual(each(true));
  expect(await letsIn(before)).toEqual(each(false));
});
