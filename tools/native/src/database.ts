import { randomBytes } from 'node:crypto';
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { startPostgres, type Postgres } from '@keelson/embedded-postgres';
import { Client } from 'pg';
import { variableName, type Service } from './services.ts';

const DATABASE = 'keelson';
const WRONG_PASSWORD = '28P01';

export interface Database {
  server: Postgres;
  /** The superuser's. */
  url: string;
}

/** Postgres with its data in the data folder, and the stack's database in it. */
export async function openDatabase(dataDir: string): Promise<Database> {
  const passwordFile = join(dataDir, 'postgres-password');
  const log = openSync(join(dataDir, 'postgres.log'), 'w');
  const server = await startPostgres({
    dir: join(dataDir, 'postgres'),
    durable: true,
    password: passwordIn(passwordFile),
    log: (line) => void writeSync(log, `${line}\n`),
  });
  try {
    await createWhereMissing(server.url);
  } catch (error) {
    await server.stop();
    if ((error as { code?: string }).code !== WRONG_PASSWORD) throw error;
    throw new Error(
      `${passwordFile} does not hold the password that this database was made with: ` +
        `put it back, or remove ${dataDir} to begin with an empty database.`,
      { cause: error },
    );
  }
  return { server, url: server.url.replace(/[^/]*$/, DATABASE) };
}

/** Made once, since the data keeps it. */
function passwordIn(file: string): string {
  try {
    writeFileSync(file, newPassword(), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(file, 'utf8').trim();
}

async function createWhereMissing(url: string) {
  const client = new Client(url);
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
    if (!rowCount) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}

/** The URL of the role that owns what is in the database. Passwords are new at each start: provisioning sets them. */
export const migratorUrl = (url: string) => roleUrl(url, 'migrator');

/** The URL of each service's own role. */
export function serviceUrls(url: string, services: Service[]): Record<string, string> {
  const withDatabase = services.filter(({ kind }) => kind !== 'job');
  return Object.fromEntries(withDatabase.map((service) => [service.name, serviceUrl(url, service)]));
}

function serviceUrl(url: string, { name, schema }: Service): string {
  const own = new URL(roleUrl(url, variableName(name).toLowerCase()));
  if (schema) own.searchParams.set('schema', schema);
  return own.href;
}

/** The URL of a role, with a password of its own. */
function roleUrl(url: string, username: string): string {
  return Object.assign(new URL(url), { username, password: newPassword() }).href;
}

const newPassword = () => randomBytes(24).toString('base64url');
