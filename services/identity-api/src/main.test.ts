import { join } from 'node:path';
import { startProcess } from '@keelson/http/testing';
import { createTestDatabase } from '@keelson/postgres/testing';
import { afterAll, expect, test } from 'vitest';

const database = await createTestDatabase();
afterAll(database.drop);

const ENVIRONMENT = {
  AUTH_ISSUER: 'https://issuer.test',
  AUTH_AUDIENCE: 'keelson',
  AUTH_JWKS_URL: 'http://127.0.0.1:1/jwks.json',
  SIGNING_KEYS_SECRET: 'a secret of the signing keys',
  ADMINISTRATOR_PASSWORD: 'correct horse battery staple',
  EXPORTS_WORKER_CLIENT_SECRET: 'a secret of exports-worker',
  EXPORTS_WORKER_CLIENT_SCOPE: 'workers:read',
};

const start = (environment: Record<string, string>) => startProcess(join(import.meta.dirname, 'main.ts'), environment);

test('serves what its database holds, until it is told to end', { timeout: 20_000 }, async () => {
  const { child, lines, exited, listening } = start({
    ...ENVIRONMENT,
    DATABASE_URL: database.url,
    SERVICE_COMMIT: 'abc1234',
    BUILD_NUMBER: '42',
  });
  const url = await listening();
  const ready = await fetch(`${url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: 'ready', service: 'identity-api', version: 'development', commit: 'abc1234', build: '42' },
  ]);
  expect((await fetch(`${url}/api/v1/jwks.json`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 0, errors: '' });
  expect(lines.map(({ msg }) => msg)).toContain('closed');
});

test('starts and ends without its database too', { timeout: 20_000 }, async () => {
  const nowhere = Object.assign(new URL(database.url), { port: '1' }).href;
  const { child, exited, listening } = start({ ...ENVIRONMENT, DATABASE_URL: nowhere });
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
  const names = ['AUTH_ISSUER', 'AUTH_AUDIENCE', 'AUTH_JWKS_URL', 'SIGNING_KEYS_SECRET', 'ADMINISTRATOR_PASSWORD'];
  for (const name of ['PORT', 'DRAIN_MS', 'DATABASE_URL', ...names]) expect(errors).toContain(`\n  ${name} `);
});
