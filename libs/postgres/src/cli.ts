import { parseArgs } from 'node:util';
import { postgresUrl, readConfig, wholeNumber } from '@keelson/config';
import { z } from 'zod';
import { awaitMigrations, migrate } from './migrate.ts';
import { schemaOf, withSchema } from './pool.ts';
import { reasonOf, waitForPostgres } from './ready.ts';

const USAGE = `Usage: database ready|migrate|await [--prisma DIR]
  ready    waits until the database answers a query
  migrate  then applies the pending migrations of DIR, one process at a time, as the role of MIGRATOR_URL
  await    then waits until another process has applied them
Reads DATABASE_URL and MIGRATOR_URL (their passwords may be in DATABASE_PASSWORD_FILE and MIGRATOR_PASSWORD_FILE),
PRISMA_DIR (the default of --prisma) and DATABASE_WAIT_SECONDS (60).`;

const say = (line: string) => process.stderr.write(`${line}\n`);

function usage(status: number): never {
  say(USAGE);
  process.exit(status);
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { prisma: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) usage(0);
  const verb = positionals[0];
  if (positionals.length !== 1 || !['ready', 'migrate', 'await'].includes(verb!)) usage(64);
  const config = readConfig({
    DATABASE_URL: postgresUrl,
    DATABASE_WAIT_SECONDS: wholeNumber(1, 3600).default(60),
    PRISMA_DIR: z.string().default('prisma'),
  });
  const prismaDir = values.prisma ?? config.PRISMA_DIR;
  const patience = { seconds: config.DATABASE_WAIT_SECONDS, say };
  await waitForPostgres(config.DATABASE_URL, patience);
  if (verb === 'migrate') {
    // Only who migrates has the migrator's password.
    const url = readMigratorUrl(schemaOf(config.DATABASE_URL));
    await waitForPostgres(url, patience);
    const applied = await migrate(url, prismaDir, say);
    say(applied.length > 0 ? `applied ${applied.join(', ')}` : 'no migration is pending');
  }
  if (verb === 'await') await awaitMigrations(config.DATABASE_URL, prismaDir, { ...patience, seconds: 600 });
}

const readMigratorUrl = (schema: string | undefined) =>
  withSchema(readConfig({ MIGRATOR_URL: postgresUrl }).MIGRATOR_URL, schema);

await main().catch((error) => {
  say(reasonOf(error));
  process.exitCode = 1;
});
