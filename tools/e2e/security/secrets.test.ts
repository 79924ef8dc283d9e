import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { succeeded } from '../compose/compose-stack.ts';
import { services } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';
import { sentence } from '../production/sentence.ts';
import { underLoad } from '../production/under-load.ts';
import { deployed, stack } from './deployed.ts';

// scripts/secrets rotate, while clients ask: at so many requests a second of one client that the proxy's limits do not count.
const RATE = 100;

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
async function killedRotation() {
  const filter = (label: string, value: string) => `--filter=label=com.docker.compose.${label}=${value}`;
  const listed = ['ps', '--quiet', filter('project', stack.project), filter('service', 'identity-api')];
  const idsOf = async () => succeeded(await stack.docker(...listed)).split('\n');
  const before = await idsOf();
  const killed = stack.run('sh', '-c', 'echo $$ >rotation.pid; exec scripts/secrets rotate');
  await until('the first new container', 60, async () => (await idsOf()).some((id) => !before.includes(id)));
  process.kill(Number(readFileSync(join(deployed.folder, 'rotation.pid'), 'utf8')), 'SIGKILL');
  expect((await killed).status).toBe(null);
  const lock = () => stack.docker('inspect', `${stack.project}-deploy`);
  await until('the end of the lock', 30, async () => (await lock()).status !== 0);
}

test('the passwords of the database change, also after one that failed and one that was killed, and no request fails', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'keelson-e2e-secrets-'));
  const { host, tlsPort, domain, ca } = deployed;
  const target = { url: `https://${domain}`, connect: `${host}:${tlsPort}`, ca, tokenCommand: stack.tokenCommand };
  const ledger = join(scratch, 'ledger');
  const before = logins();
  expect(await letsIn(before)).toEqual(each(true));

  await underLoad(
    target,
    ledger,
    async () => {
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
    },
    RATE,
  ).finally(() => rmSync(scratch, { recursive: true }));

  const after = logins();
  expect(await letsIn(after)).toEqual(each(true));
  expect(await letsIn(before)).toEqual(each(false));
}, 400_000);
