import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import * as wasm from '@prisma/schema-engine-wasm/schema_engine_bg';
import { Pool, type ClientBase } from 'pg';
import { connection, schemaOf } from './pool.ts';

export type MigrationFile = { name: string; sql: string };

/** The engine's WebAssembly: beside its package, or beside the bundle that holds this file. */
const WASM = import.meta.url.endsWith('.ts')
  ? join(dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm')), 'schema_engine_bg.wasm')
  : join(import.meta.dirname, 'schema_engine_bg.wasm');

/**
 * Applies migrations with Prisma's own schema engine, in this process: what the Prisma command line would do and
 * write into `_prisma_migrations`, without its 300 MB.
 * @param session in which the migrations run: the one that has the lock
 * @returns the names of those it applied
 * @throws what `pg` threw for a migration; the engine's own error would say less
 */
export async function applyMigrations(
  url: string,
  datamodel: string,
  migrations: MigrationFile[],
  session: ClientBase,
  lockTimeoutMs: number,
): Promise<string[]> {
  await loadEngine();
  await session.query(`SET lock_timeout = ${lockTimeoutMs}`);
  const pool = new Pool({ ...connection(url, { lock_timeout: String(lockTimeoutMs) }), max: 2 });
  pool.on('error', () => undefined);
  const failure: { of?: unknown } = {};
  const restoreTimers = unrefTimers();
  try {
    const engine = await wasm.SchemaEngine.new(
      { datamodels: [['schema.prisma', datamodel]] },
      () => undefined,
      bindMigrationAwareSqlAdapterFactory(
        atomicScripts(new PrismaPg(pool, { schema: schemaOf(url) ?? 'public' }), session, failure),
      ),
    );
    const result = await engine.applyMigrations({
      migrationsList: {
        baseDir: 'migrations',
        lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
        shadowDbInitScript: '',
        migrationDirectories: migrations.map(({ name, sql }) => ({
          path: name,
          migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
        })),
      },
      filters: { externalTables: [], externalEnums: [] },
    });
    return result.appliedMigrationNames;
  } catch (error) {
    throw failure.of ?? error;
  } finally {
    restoreTimers();
    await pool.end();
  }
}

/** Node has it; TypeScript knows it only together with a browser's types. */
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

let loaded: Promise<void> | undefined;

/** Once in a process: the engine's timers call back into the instance that armed them. */
const loadEngine = () => (loaded ??= instantiate());

async function instantiate() {
  const { instance } = await WebAssembly.instantiate(readFileSync(WASM), {
    './schema_engine_bg.js': wasm,
  });
  wasm.__wbg_set_wasm(instance.exports);
  (instance.exports['__wbindgen_start'] as () => void)();
}

/** Postgres refuses these inside a transaction. */
const OUTSIDE_TRANSACTION = /\bCONCURRENTLY\b|\bALTER\s+TYPE\b[^;]*\bADD\s+VALUE\b|\bVACUUM\b/i;

/**
 * The adapter splits a script at its semicolons and runs the parts one by one, which breaks functions and leaves half
 * a migration behind. Here a script is one query, so Postgres runs it in one transaction (manual, 54.2.2.1), and the
 * engine's record of it is finished in the same one: whenever the process dies, both are there or neither is.
 */
function atomicScripts(factory: PrismaPg, session: ClientBase, failure: { of?: unknown }) {
  const connect = async (): Promise<SqlDriverAdapter> => {
    const adapter = await factory.connect();
    adapter.executeScript = async (script) => {
      const alone = OUTSIDE_TRANSACTION.test(script.replaceAll(/--.*$/gm, ''));
      await session.query(alone ? script : `${script}\n;${FINISH}`).catch((error) => {
        throw (failure.of = error);
      });
    };
    return adapter;
  };
  return { provider: 'postgres' as const, adapterName: factory.adapterName, connect, connectToShadowDb: connect };
}

const FINISH = `DO $$ BEGIN
  IF to_regclass('_prisma_migrations') IS NOT NULL THEN
    UPDATE _prisma_migrations SET finished_at = now() WHERE finished_at IS NULL AND rolled_back_at IS NULL;
  END IF;
END $$`;

/** The engine arms a 10 s timer around its own lock and never clears it: without this the process would outlive its work. */
function unrefTimers() {
  const original = globalThis.setTimeout;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => original(...args).unref()) as typeof setTimeout;
  return () => {
    globalThis.setTimeout = original;
  };
}
