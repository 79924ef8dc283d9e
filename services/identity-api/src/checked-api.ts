import { join } from 'node:path';
import { createVerifier } from '@keelson/auth';
import { startIssuer } from '@keelson/auth/issuer';
import { checkedApi, type LogLine } from '@keelson/http/testing';
import { createLogger } from '@keelson/logger';
import { createPool, migrationNames, schemaOf } from '@keelson/postgres';
import { createApp } from './app.ts';
import { createDatabase } from './database.ts';
import { createSetUp } from './set-up.ts';

const PRISMA_DIR = join(import.meta.dirname, '../prisma');
export const MIGRATIONS = migrationNames(PRISMA_DIR);
export const SECRET = 'a secret of the signing keys';
export const ADMINISTRATOR = { email: 'Admin@Example.com', password: 'correct horse battery staple' };
export const CLIENT = {
  id: 'exports-worker',
  secret: 'a secret of exports-worker',
  scopes: ['workers:read', 'exports:report'],
};

/** The API over a database, on a port of its own, whose every answer is as the OpenAPI document that it serves says. */
export async function startApi(
  databaseUrl: string,
  { migrations = MIGRATIONS, secret = SECRET, clients = [CLIENT] } = {},
) {
  const lines: LogLine[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = createLogger({ service: 'identity-api', level: 'info' }, { write });
  const pool = createPool(databaseUrl, { log });
  const db = createDatabase(pool, schemaOf(databaseUrl));
  const service = { service: 'identity-api', version: '1.2.3', commit: 'abc1234', build: '42' };
  const issuer = await startIssuer();
  const { verify } = createVerifier(issuer.settings, log);
  const { AUTH_ISSUER, AUTH_AUDIENCE } = issuer.settings;
  const setUp = createSetUp(db, { secret, administrator: ADMINISTRATOR, clients }, log);
  await setUp.begin();
  const tokens = { db, secret, issuer: AUTH_ISSUER, audience: AUTH_AUDIENCE };
  const app = createApp({ service, log, pool, db, migrations, verify, tokens, notSetUp: setUp.reason });
  const { url, call, close } = await checkedApi(app, await issuer.token());
  const stop = async () => {
    setUp.stop();
    close();
    issuer.close();
    await db.$disconnect();
    await pool.end();
  };
  return { url, issuer, call, db, pool, lines, stop };
}
