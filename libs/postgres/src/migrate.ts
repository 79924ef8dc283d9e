import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type ClientBase, type Pool } from 'pg';
import { isLocked, withStructureLock } from './lock.ts';
import { connection } from './pool.ts';
import { reasonOf, type Say } from './ready.ts';
import { applyMigrations, type MigrationFile } from './schema-engine.ts';

const LOCK_TIMEOUT_MS = 3000;
const ATTEMPTS = 10;

/** The migrations of a service, in their order: `prisma/migrations/NAME/migration.sql`. */
function readMigrations(prismaDir: string): MigrationFile[] {
  const folder = join(prismaDir, 'migrations');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, sql: readFileSync(join(folder, name, 'migration.sql'), 'utf8') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export const migrationNames = (prismaDir: string): string[] => readMigrations(prismaDir).map(({ name }) => name);

/** Those of `names` that the database has not applied. */
async function pendingMigrations(db: Pool | ClientBase, names: string[]): Promise<string[]> {
  const { rows: tables } = await db.query("SELECT to_regclass('_prisma_migrations') IS NOT NULL AS known");
  if (!tables[0].known) return names;
  const { rows } = await db.query(
    'SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  const applied = new Set(rows.map((row) => row.name));
  return names.filter((name) => !applied.has(name));
}

/** @returns a sentence about the first of `names` that the database has not applied */
export async function missingMigration(db: Pool | ClientBase, names: string[]): Promise<string | undefined> {
  const [first] = await pendingMigrations(db, names);
  return first && `the database lacks the migration ${first}`;
}

/**
 * Applies the pending migrations of a service, one process at a time however many start at once. A migration runs in
 * one transaction, so a failed one leaves nothing behind and can be corrected and run again. Waiting for a table that
 * others use is bounded, because everybody else queues up behind the waiting one, and tried again.
 * @param url the migrator's, with the service's schema
 * @returns the names of those applied
 * @throws Error that names the file and what Postgres said
 */
export async function migrate(
  url: string,
  prismaDir: string,
  say: Say,
  { lockTimeoutMs = LOCK_TIMEOUT_MS, attempts = ATTEMPTS } = {},
): Promise<string[]> {
  const migrations = readMigrations(prismaDir);
  const names = migrations.map((file) => file.name);
  return withStructureLock(url, { say }, async (session) => {
    const applied = await applyPending(session);
    await session.query(PROTECT_RECORD);
    return applied;
  });

  async function applyPending(session: Client) {
    const pending = await pendingMigrations(session, names);
    if (pending.length === 0) return [];
    say(`applying ${pending.length} of ${migrations.length} migrations: ${pending.join(', ')}`);
    const datamodel = readFileSync(join(prismaDir, 'schema.prisma'), 'utf8');
    for (let attempt = 1; ; attempt += 1) {
      await forgetUnfinished(session);
      try {
        await applyMigrations(url, datamodel, migrations, session, lockTimeoutMs);
        return pending;
      } catch (error) {
        const failed = (await forgetUnfinished(session).catch(() => undefined)) ?? pending[0]!;
        const reason = `${lineOf(
          error,
          migrations.find((file) => file.name === failed),
        )}${reasonOf(error)}`;
        if (attempt === attempts || !isLocked(error))
          throw new Error(
            `migration ${failed} failed: ${reason}\nNothing of it was kept. Correct ${join(prismaDir, 'migrations', failed, 'migration.sql')} and start again.`,
          );
        say(`migration ${failed} could not lock its tables (${reason}): try ${attempt + 1} of ${attempts}`);
        await delay(200 * attempt);
      }
    }
  }
}

/** Who may write the rows of a schema has no business in the record of its migrations. */
const PROTECT_RECORD = `DO $$ DECLARE writer regrole; BEGIN
  FOR writer IN SELECT DISTINCT grantee FROM pg_class, aclexplode(relacl)
    WHERE pg_class.oid = to_regclass('_prisma_migrations') AND grantee <> relowner AND privilege_type <> 'SELECT' LOOP
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON _prisma_migrations FROM %s', writer);
  END LOOP;
END $$`;

/** Waits until another process has applied the migrations of a service. */
export async function awaitMigrations(url: string, prismaDir: string, { seconds, say }: { seconds: number; say: Say }) {
  const names = migrationNames(prismaDir);
  await using database = await connect(url);
  const start = performance.now();
  for (let said = 0; ;) {
    const pending = await pendingMigrations(database.client, names);
    if (pending.length === 0) return;
    const elapsed = Math.round((performance.now() - start) / 1000);
    if (elapsed >= seconds)
      throw new Error(
        `${pending.length} migrations were not applied within ${seconds} s, first ${pending[0]}: run \`scripts/db migrate\``,
      );
    if (elapsed > said)
      say(`waiting for ${pending.length} migrations, first ${pending[0]} (${(said = elapsed)} s of ${seconds})`);
    await delay(200);
  }
}

/**
 * Clears what a migration that failed, or whose process was killed, left in the engine's records. Postgres has rolled
 * the migration itself back; what CREATE INDEX CONCURRENTLY leaves is an invalid index.
 * @returns the name of the last one that was not finished
 */
async function forgetUnfinished(client: ClientBase): Promise<string | undefined> {
  const { rows: tables } = await client.query("SELECT to_regclass('_prisma_migrations') IS NOT NULL AS known");
  if (!tables[0].known) return undefined;
  const { rows } = await client.query(
    'UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL AND rolled_back_at IS NULL RETURNING migration_name AS name',
  );
  if (rows.length > 0) await dropInvalidIndexes(client);
  return rows.at(-1)?.name;
}

/** Not those that somebody is building at this moment. Nobody queues up behind it, so it may wait. */
async function dropInvalidIndexes(client: ClientBase) {
  const { rows } = await client.query(
    `SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)`,
  );
  await client.query('RESET lock_timeout');
  for (const { name } of rows) await client.query(`DROP INDEX CONCURRENTLY ${name}`);
}

/** Where in its file a statement failed, when Postgres says so. */
function lineOf(error: unknown, file: MigrationFile | undefined): string {
  const position = Number((error as { position?: string }).position);
  return file && position > 0 ? `line ${file.sql.slice(0, position).split('\n').length}: ` : '';
}

async function connect(url: string) {
  const client = new Client(connection(url));
  client.on('error', () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end().catch(() => undefined) };
}
