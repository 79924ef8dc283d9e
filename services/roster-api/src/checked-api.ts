import { join } from 'node:path';
import { createVerifier } from '@keelson/auth';
import { startIssuer } from '@keelson/auth/issuer';
import { checkedApi, type LogLine } from '@keelson/http/testing';
import { createLogger } from '@keelson/logger';
import { createPool, migrationNames, schemaOf } from '@keelson/postgres';
import { createApp } from './app.ts';
import { createDatabase } from './database.ts';

const PRISMA_DIR = join(import.meta.dirname, '../prisma');
export const MIGRATIONS = migrationNames(PRISMA_DIR);

/** A roster-api over a database, on a port of its own, whose every answer is as the OpenAPI document that it serves says. */
export async function startApi(databaseUrl: string, { migrations = MIGRATIONS } = {}) {
  const lines: LogLine[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = createLogger({ service: 'roster-api', level: 'info' }, { write });
  const pool = createPool(databaseUrl, { log });
  const db = createDatabase(pool, schemaOf(databaseUrl));
  const service = { service: 'roster-api', version: '1.2.3', commit: 'abc1234', build: '42' };
  const issuer = await startIssuer();
  const { verify } = createVerifier(issuer.settings, log);
  const app = createApp({ service, log, pool, db, migrations, verify });
  const { url, call, close } = await checkedApi(app, await issuer.token());
  const stop = async () => {
    close();
    issuer.close();
    await db.$disconnect();
    await pool.end();
  };
  return { app, url, issuer, call, db, pool, lines, stop };
}
