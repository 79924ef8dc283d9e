import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { startPostgres } from '@keelson/embedded-postgres';
import { Client } from 'pg';
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { migrate } from './migrate.ts';
import { connection, withSchema } from './pool.ts';
import { provision } from './provision.ts';
import { waitForPostgres } from './ready.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of a superuser. */
    postgresUrl: string;
    /** Of the service's role, in the template database. */
    templateUrl: string;
    /** Of the role that owns the service's schema there. */
    migratorUrl: string;
  }
}

const TEMPLATE = 'template_keelson';
/** As in docker-compose.yml and in the embedded Postgres. */
const LOCALE = '--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8';
const quiet = () => undefined;

/**
 * Vitest's global setup for a project that needs Postgres: one server for its test files, and in it a template
 * database that is provisioned and migrated as the service's own would be.
 */
export default async function setup(project: TestProject) {
  const server = await startServer();
  try {
    project.provide('postgresUrl', server.url);
    const template = await makeTemplate(server.url, project.config.root);
    project.provide('templateUrl', template.url);
    project.provide('migratorUrl', template.migratorUrl);
    return server.stop;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** @param root the project's folder: service.json says its schema, prisma/ holds its migrations, where it has them */
async function makeTemplate(serverUrl: string, root: string) {
  await waitForPostgres(serverUrl, { seconds: 60, say: quiet });
  const role = `test_${basename(root).replaceAll('-', '_')}`;
  const schema = readSchema(root);
  await execute(serverUrl, `CREATE DATABASE ${TEMPLATE}`);
  const urlOf = (username: string) => withParts(serverUrl, { username, password: 'test', pathname: TEMPLATE });
  const [url, migratorUrl] = [withSchema(urlOf(role), schema), withSchema(urlOf('test_migrator'), schema)];
  await provision(withParts(serverUrl, { pathname: TEMPLATE }), { migratorUrl, serviceUrls: [url] }, quiet);
  if (existsSync(join(root, 'prisma'))) await migrate(migratorUrl, join(root, 'prisma'), quiet);
  return { url, migratorUrl };
}

/** A database of its own, a copy of the template: `url` is the service's, `adminUrl` a superuser's. */
export async function createTestDatabase() {
  const name = `test_${crypto.randomUUID().replaceAll('-', '')}`;
  await execute(inject('postgresUrl'), `CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  // What provisioning does to a database itself is not copied.
  await execute(inject('postgresUrl'), `REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC`);
  return {
    url: withParts(inject('templateUrl'), { pathname: name }),
    adminUrl: withParts(inject('postgresUrl'), { pathname: name }),
    /** What the service's role may not: such as altering a table. */
    asMigrator: (sql: string) => execute(withParts(inject('migratorUrl'), { pathname: name }), sql),
    drop: () => execute(inject('postgresUrl'), `DROP DATABASE ${name} WITH (FORCE)`),
  };
}

/** Testcontainers where a Docker engine answers and has its images, or can fetch them; the embedded Postgres elsewhere. */
async function startServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  const engine = await getContainerRuntimeClient().catch(() => undefined);
  return engine ? startContainer().catch(withoutImage) : startPostgres();
}

async function startContainer() {
  const container = await new GenericContainer('postgres:18-trixie')
    .withEnvironment({ POSTGRES_PASSWORD: 'test', POSTGRES_INITDB_ARGS: LOCALE })
    .withCommand(['postgres', '-c', 'fsync=off', '-c', 'max_connections=200'])
    .withTmpFs({ '/var/lib/postgresql': 'rw' })
    .withExposedPorts(5432)
    .withWaitStrategy(Wait.forListeningPorts())
    .start();
  const url = `postgresql://postgres:test@${container.getHost()}:${container.getMappedPort(5432)}/postgres`;
  return { url, stop: async () => void (await container.stop()) };
}

/** The engine answers a pull that fails with 404 or 500; any other error is a fault of this set-up. */
function withoutImage(error: Error & { statusCode?: number }) {
  if (error.statusCode !== 404 && error.statusCode !== 500) throw error;
  process.stderr.write(`Postgres runs embedded, not in a container: ${error.message.trim()}\n`);
  return startPostgres();
}

function readSchema(root: string): string | undefined {
  const file = join(root, 'service.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).schema : undefined;
}

const withParts = (url: string, parts: { username?: string; password?: string; pathname?: string }) =>
  Object.assign(new URL(url), parts).href;

async function execute(url: string, sql: string) {
  const client = new Client(connection(url));
  await client.connect();
  await client.query(sql).finally(() => client.end());
}
