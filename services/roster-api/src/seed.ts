import { parseArgs } from 'node:util';
import { reasonOf, waitForPostgres } from '@keelson/postgres';
import { readSeedConfig } from './config.ts';
import { seedWorkers } from './seed-workers.ts';

const USAGE = `Usage: seed [--rows N]
Adds the first N workers (100) of a roster that is always the same; those that are there stay. Reads DATABASE_URL.`;

const say = (line: string) => process.stderr.write(`${line}\n`);

async function main() {
  const { values } = parseArgs({
    options: { rows: { type: 'string', default: '100' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return say(USAGE);
  const rows = Number(values.rows);
  if (!Number.isInteger(rows) || rows < 0 || rows > 10_000_000)
    throw new Error(`--rows takes a number from 0 to 10000000, not ${values.rows}`);
  const url = readSeedConfig().DATABASE_URL;
  await waitForPostgres(url, { seconds: 60, say });
  const added = await seedWorkers(url, rows, (done) => say(`${done} of ${rows} workers`));
  say(`the roster has the first ${rows} seeded workers: ${added} are new`);
}

await main().catch((error) => {
  say(reasonOf(error));
  process.exitCode = 1;
});
