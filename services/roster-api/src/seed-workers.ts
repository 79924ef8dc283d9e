import { connection } from '@keelson/postgres';
import { Client } from 'pg';

const BATCH = 50_000;
const FIRST = [
  'Ada',
  'Grace',
  'Barbara',
  'Edsger',
  'Frances',
  'Hedy',
  'Ida',
  'Jean',
  'Karen',
  'Linus',
  'Margaret',
  'Niklaus',
  'Radia',
];
const LAST = [
  'Allen',
  'Bartik',
  'Dijkstra',
  'Hamilton',
  'Hopper',
  'Lamarr',
  'Liskov',
  'Lovelace',
  'Perlman',
  'Rhodes',
  'Wirth',
];
const ROLES = ['analyst', 'architect', 'cook', 'driver', 'electrician', 'engineer', 'nurse'];

/** Row n is always the same person; ids ascend, since each carries n as the time of a UUID version 7 (RFC 9562, 5.7). */
const INSERT = `
  INSERT INTO "Worker" (id, name, role, email, "hiredOn", "updatedAt")
  SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
         ($3::text[])[1 + n % $4] || ' ' || ($5::text[])[1 + n % $6],
         ($7::text[])[1 + n % $8],
         lower(($3::text[])[1 + n % $4] || '.' || ($5::text[])[1 + n % $6]) || '.' || n || '@example.com',
         date '2000-01-01' + (n * 7919 % 9000)::int,
         now()
  FROM (SELECT n, md5(n::text) AS hash FROM generate_series($1::bigint, $2::bigint) AS n) AS rows
  ON CONFLICT DO NOTHING`;

/** Adds the first `rows` workers of the seeded roster that are not there yet. @returns how many were added */
export async function seedWorkers(url: string, rows: number, progress: (done: number) => void): Promise<number> {
  const client = new Client(connection(url));
  await client.connect();
  try {
    let added = 0;
    for (let from = 1; from <= rows; from += BATCH) {
      const to = Math.min(rows, from + BATCH - 1);
      const values = [from, to, FIRST, FIRST.length, LAST, LAST.length, ROLES, ROLES.length];
      added += (await client.query(INSERT, values)).rowCount ?? 0;
      if (rows > BATCH) progress(to);
    }
    await client.query('ANALYZE "Worker"');
    return added;
  } finally {
    await client.end();
  }
}
