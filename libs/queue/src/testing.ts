import { createTestDatabase } from '@keelson/postgres/testing';
import { Pool } from 'pg';
import { installQueue } from './install.ts';

/** A database of its own with a queue in it: `url` is the service's, `query` a superuser's. */
export async function createTestQueue() {
  const database = await createTestDatabase();
  await installQueue(database.adminUrl, () => undefined);
  const pool = new Pool({ connectionString: database.adminUrl, max: 1 }).on('error', () => undefined);
  return {
    url: database.url,
    adminUrl: database.adminUrl,
    query: async (sql: string, values?: unknown[]) => (await pool.query(sql, values)).rows,
    async drop() {
      await pool.end();
      await database.drop();
    },
  };
}
