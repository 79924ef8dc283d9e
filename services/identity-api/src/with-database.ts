import { createLogger } from '@keelson/logger';
import { createPool, reasonOf, schemaOf } from '@keelson/postgres';
import { createDatabase, type Database } from './database.ts';

/** For the operator's verbs: a database while it is needed, and a sentence where something fails. */
export async function withDatabase(url: string, act: (db: Database) => Promise<void>): Promise<void> {
  const pool = createPool(url, { log: createLogger({ service: 'identity-api', level: 'silent' }) });
  const db = createDatabase(pool, schemaOf(url));
  try {
    await act(db);
  } catch (error) {
    process.stderr.write(`${reasonOf(error as Error)}\n`);
    process.exitCode = 1;
  } finally {
    await db.$disconnect();
    await pool.end();
  }
}
