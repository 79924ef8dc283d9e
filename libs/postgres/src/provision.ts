import { createHmac, hash, pbkdf2Sync, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SECOND_LOGIN } from '@keelson/config';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { isLocked, withStructureLock } from './lock.ts';
import { connection, schemaOf } from './pool.ts';
import { reasonOf, type Say } from './ready.ts';

/** May add and take jobs, as `installQueue` of @keelson/queue grants it; every role here is a member. */
export const QUEUE_ROLE = 'queue_user';

export type Roles = {
  /** Of the role that owns every schema and applies the migrations: `postgresql://migrator:password@host/db`. */
  migratorUrl: string;
  /**
   * Of each service's role, with its schema where it has one: `postgresql://role:password@host/db?schema=s`. The user may
   * be the role's second login, which may do the same.
   */
  serviceUrls: string[];
  /** Whether the login of a service that is not named is shut out, or kept as it is. */
  otherLogins?: 'keep' | 'close';
};

/**
 * Gives every service its role, and its schema where its URL names one. There its role reads and writes rows, and nothing
 * more: what holds them is the migrator's. Idempotent; passwords are set again, so that a changed one takes effect.
 */
export async function provision(adminUrl: string, { migratorUrl, serviceUrls, otherLogins = 'keep' }: Roles, say: Say) {
  await withStructureLock(adminUrl, { say }, async () => {
    const client = new Client(connection(adminUrl));
    await client.connect();
    try {
      await client.query(CLOSE_DATABASES);
      await ensureRole(client, QUEUE_ROLE, 'NOLOGIN');
      const migrator = await ensureLogin(client, migratorUrl);
      await join(client, migrator, QUEUE_ROLE);
      for (const url of serviceUrls) {
        const login = await ensureServiceLogin(client, url);
        if (schemaOf(url)) await provideSchema(client, schemaOf(url)!, login, migrator, say);
        if (otherLogins === 'close') await shutOut(client, login.other);
      }
    } finally {
      await client.end();
    }
  });
}

/** What Postgres lets everybody do, in this database and in those that it makes for itself. */
const CLOSE_DATABASES = `
  REVOKE ALL ON SCHEMA public FROM PUBLIC;
  DO $$ DECLARE name text; BEGIN
    EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    FOR name IN SELECT datname FROM pg_database
      WHERE datname IN ('postgres', 'template1') AND datname <> current_database() LOOP
      EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', name);
    END LOOP;
  END $$;
  DO $$ BEGIN
    REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
  EXCEPTION WHEN insufficient_privilege THEN NULL; -- where the admin of a managed server is no superuser
  END $$`;

type Login = {
  /** Of the service: it has the rights. */
  role: string;
  /** The one of the role's two logins that the URL names, and the other one. */
  login: string;
  other: string;
};

async function ensureServiceLogin(client: Client, url: string): Promise<Login> {
  const login = userOf(url);
  const role = login.endsWith(SECOND_LOGIN) ? login.slice(0, -SECOND_LOGIN.length) : login;
  const second = role + SECOND_LOGIN;
  if (login === second) await ensureRole(client, role, 'LOGIN');
  await ensureLogin(client, url);
  await join(client, role, QUEUE_ROLE);
  if (login === second) await join(client, second, role);
  return { role, login, other: login === role ? second : role };
}

/** Whoever is in with it is put out, also one who sets the password meanwhile, which is then no longer taken. */
async function shutOut(client: Client, login: string) {
  if (!(await isThere(client, login))) return;
  await alterRole(client, login, 'NOLOGIN');
  await putOut(client, login);
  await alterRole(client, login, 'LOGIN PASSWORD NULL');
}

async function putOut(client: Client, login: string) {
  await client.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1', [login]);
}

async function provideSchema(client: Client, name: string, service: Login, owner: string, say: Say) {
  const [schema, migrator] = [escapeIdentifier(name), escapeIdentifier(owner)];
  const role = escapeIdentifier(service.role);
  const inSchema = `ALTER DEFAULT PRIVILEGES FOR ROLE ${migrator} IN SCHEMA ${schema}`;
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema} AUTHORIZATION ${migrator}`);
  for (const name of new Set([service.role, service.login]))
    await alterRole(client, name, `SET search_path = ${schema}`);
  await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`);
  // Of what is made later: functions and types are everybody's who may use the schema.
  await client.query(`${inSchema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${role}`);
  await client.query(`${inSchema} GRANT USAGE ON SEQUENCES TO ${role}`);
  if (await ownsSomething(client, role)) {
    say(`${role} owns what is in the schema ${schema}: that becomes ${migrator}'s`);
    await handOver(client, { role, schema, migrator }, say);
  }
}

/** Quoted. */
type Names = Record<'role' | 'schema' | 'migrator', string>;

/**
 * From a service that owns its schema to the migrator, while the service works: each thing in a transaction with the right
 * to use it, since an owner's own rights go with what it owns. Until the last is handed over, the migrator may use what is
 * still the service's, as a view has to whose owner he is.
 */
async function handOver(client: Client, { role, schema, migrator }: Names, say: Say) {
  await client.query(`
    ALTER SCHEMA ${schema} OWNER TO ${migrator};
    GRANT USAGE ON SCHEMA ${schema} TO ${role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${migrator}`);
  const { rows } = await client.query(RELATIONS, [role]);
  for (const { name, isSequence } of rows)
    await insist(
      client,
      `ALTER TABLE ${name} OWNER TO ${migrator};
       ${isSequence ? '' : `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO ${role};`}
       GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${role}`,
      async (reason, attempt) => {
        say(`${name} is in use (${reason}): try ${attempt} of ${ATTEMPTS}`);
        await delay(1000);
      },
    );
  await client.query(`
    REASSIGN OWNED BY ${role} TO ${migrator};
    GRANT EXECUTE ON ALL ROUTINES IN SCHEMA ${schema} TO ${role}`);
}

/** What a role owns, but for the sequences of columns, which go with their tables. */
const RELATIONS = `
  SELECT oid::regclass::text AS name, relkind = 'S' AS "isSequence" FROM pg_class
  WHERE relowner = $1::regrole AND (relkind IN ('r', 'p', 'v', 'm', 'f') OR relkind = 'S' AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = oid AND deptype IN ('a', 'i')))`;

const ATTEMPTS = 30;

/**
 * Who waits for a table holds up everybody behind him: so this waits briefly, and again. One table at a time, since a
 * transaction that has one and wants the next waits for those that want them in another order.
 * @param beforeNext what is done where it could not be had, before it is tried again
 */
async function insist(client: Client, sql: string, beforeNext: (reason: string, attempt: number) => Promise<void>) {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await client.query(`SET LOCAL lock_timeout = 200; ${sql}`);
    } catch (error) {
      if (attempt === ATTEMPTS || !isHeld(error)) throw error;
      await beforeNext(reasonOf(error as Error), attempt + 1);
    }
}

/** A row of Postgres' own that another session changes has no code of its own. */
const isHeld = (error: unknown) => isLocked(error) || (error as Error).message === 'tuple concurrently updated';

async function ownsSomething(client: Client, role: string) {
  const { rowCount } = await client.query(
    `SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1::regrole AND deptype = 'o'
       AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1`,
    [role],
  );
  return rowCount! > 0;
}

const userOf = (url: string) => decodeURIComponent(new URL(url).username);

/** The role that a URL names, with its password. @returns its name */
async function ensureLogin(client: Client, url: string) {
  const verifier = scramVerifier(decodeURIComponent(new URL(url).password));
  await ensureRole(client, userOf(url), `LOGIN PASSWORD ${escapeLiteral(verifier)}`);
  return userOf(url);
}

/**
 * What Postgres keeps of a password (RFC 5802, 3; RFC 7677). It is made here, since a server may log the statement that
 * sets it.
 */
function scramVerifier(password: string) {
  const [salt, iterations] = [randomBytes(16), 4096];
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const keyFor = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = hash('sha256', keyFor('Client Key'), 'base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${keyFor('Server Key').toString('base64')}`;
}

/** A member has the rights of the group, and can do nothing else in its name. */
async function join(client: Client, member: string, group: string) {
  await client.query(`GRANT ${escapeIdentifier(group)} TO ${escapeIdentifier(member)} WITH INHERIT TRUE, SET FALSE`);
}

async function ensureRole(client: Client, role: string, attributes: string) {
  if (await isThere(client, role)) await alterRole(client, role, attributes);
  else await client.query(`CREATE ROLE ${escapeIdentifier(role)} ${attributes}`);
}

/** No service changes its own role, though it may. Where one does at this moment, whoever is in with it is put out. */
const alterRole = (client: Client, role: string, change: string) =>
  insist(client, `ALTER ROLE ${escapeIdentifier(role)} ${change}`, () => putOut(client, role));

async function isThere(client: Client, role: string) {
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role]);
  return rowCount! > 0;
}
