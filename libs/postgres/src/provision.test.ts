import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connection } from './pool.ts';
import { provision } from './provision.ts';
import { createTestDatabase } from './testing.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const id = crypto.randomUUID().slice(0, 8);
const urlOf = (role: string, password: string, schema?: string) => {
  const url = Object.assign(new URL(database.adminUrl), { username: `${role}_${id}`, password });
  if (schema) url.searchParams.set('schema', schema);
  return url.href;
};
const quiet = () => undefined;

async function query(url: string, sql: string) {
  const client = new Client(connection(url));
  await client.connect();
  return client.query(sql).finally(() => client.end());
}

test('each service has its schema, and is refused in the schemas of others', async () => {
  const one = urlOf('one', "it's", 'one');
  const two = urlOf('two', 'b', 'two');
  await provision(database.adminUrl, [one, two], quiet);
  await query(one, 'CREATE TABLE things (id int)');
  expect((await query(one, "SELECT 'things'::regclass::oid::regclass::text AS name, current_schema()")).rows).toEqual([
    { name: 'things', current_schema: 'one' },
  ]);
  await expect(query(two, 'SELECT * FROM one.things')).rejects.toThrow('permission denied for schema one');
  await expect(query(two, 'CREATE TABLE public.t (id int)')).rejects.toThrow('permission denied for schema public');
  await expect(query(two, 'CREATE SCHEMA mine')).rejects.toThrow('permission denied');
});

test('may run again, and then sets the passwords anew', async () => {
  await provision(database.adminUrl, [urlOf('three', 'old', 'three')], quiet);
  await provision(database.adminUrl, [urlOf('three', 'new', 'three')], quiet);
  await expect(query(urlOf('three', 'old'), 'SELECT 1')).rejects.toThrow('password authentication failed');
  await query(urlOf('three', 'new'), 'SELECT 1');
});
