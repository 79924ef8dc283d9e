import { join } from 'node:path';
import { startIssuer } from '@keelson/auth/issuer';
import { startProcess } from '@keelson/http/testing';
import { createTestDatabase } from '@keelson/postgres/testing';
import { afterAll, expect, test } from 'vitest';

const database = await createTestDatabase();
afterAll(database.drop);

const issuer = await startIssuer();
afterAll(issuer.close);

const start = (environment: Record<string, string>) => startProcess(join(import.meta.dirname, 'main.ts'), environment);

test('serves the roster of its database, until it is told to end', { timeout: 20_000 }, async () => {
  const { child, lines, exited, listening } = start({
    ...issuer.settings,
    DATABASE_URL: database.url,
    SERVICE_COMMIT: 'abc1234',
    BUILD_NUMBER: '42',
    WARM_UP_REQUESTS: '20',
  });
  const url = await listening();
  expect(lines).toMatchObject([{ msg: 'warmed up', requests: 20 }, { msg: 'listening' }]);
  const ready = await fetch(`${url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: 'ready', service: 'roster-api', version: 'development', commit: 'abc1234', build: '42' },
  ]);
  const headers = { authorization: `Bearer ${await issuer.token()}` };
  expect((await fetch(`${url}/api/v1/workers`, { headers })).status).toBe(200);
  expect((await fetch(`${url}/api/v1/workers`)).status).toBe(401);
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 0, errors: '' });
  expect(lines.map(({ msg }) => msg)).toContain('closed');
});

test('starts and ends without its database too', { timeout: 20_000 }, async () => {
  const nowhere = Object.assign(new URL(database.url), { port: '1' }).href;
  const { child, exited, listening } = start({ ...issuer.settings, DATABASE_URL: nowhere });
  const url = await listening();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 0, errors: '' });
});

test('names all that is wrong with its environment, and ends with 78', { timeout: 20_000 }, async () => {
  const { exited } = start({ PORT: 'x', DRAIN_MS: '-1' });
  const { code, errors } = await exited;
  expect(code).toBe(78);
  const names = ['PORT', 'DRAIN_MS', 'DATABASE_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE', 'AUTH_JWKS_URL'];
  for (const name of names) expect(errors).toContain(`\n  ${name} `);
});
