import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { FsTree } from '@nx/devkit/internal';
import { settle } from './after.ts';
import type { Kind } from './names.ts';
import { newService } from './new-service.ts';
import { withNpmOptions } from './npm-options.ts';
import { Refusal } from './refusal.ts';
import { removeService } from './remove-service.ts';

const USAGE = `Usage: npm run new api NAME [-- --resource line-item --route /api/v1/line-items --dry-run]
       npm run new worker NAME [-- --resource invoice --job process-invoice --no-database --dry-run]
       npm run remove NAME-api [-- --force --dry-run]

Adds a service in the shape of roster-api or exports-worker, wired into Compose, the proxy and .env.template, or takes
one out again, to the byte.

  --resource NAME   what the service is about, in the singular (default: NAME in the singular)
  --route PATH      where an API is reached (default: /api/v1/ and the resource in the plural)
  --job NAME        the job that a worker does (default: process- and the resource)
  --no-database     a worker without tables of its own
  --force           removes a service with changes that no commit has
  --dry-run         says what would be written, and writes nothing
`;

const root = resolve(import.meta.dirname, '../../..');

const options = {
  resource: { type: 'string' },
  route: { type: 'string' },
  job: { type: 'string' },
  'no-database': { type: 'boolean' },
  force: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

async function main() {
  const { values, positionals } = parseArgs({
    args: withNpmOptions(process.argv.slice(2), process.env),
    options,
    allowPositionals: true,
  });
  const [verb, ...rest] = positionals;
  const [kind, name] = verb === 'remove' ? [undefined, rest.shift()] : rest.splice(0, 2);
  if (values.help) return void process.stdout.write(USAGE);
  if (!name || rest.length > 0 || (verb === 'new' && kind !== 'api' && kind !== 'worker'))
    throw new Refusal(USAGE.trim());
  const tree = new FsTree(root, false);
  const service =
    verb === 'remove'
      ? (removeService(tree, name, values), name)
      : (await newService(tree, kind as Kind, { ...values, name, database: !values['no-database'] })).name;
  const changes = tree.listChanges().toSorted((a, b) => a.path.localeCompare(b.path));
  for (const { type, path } of changes) process.stdout.write(`${type} ${path}\n`);
  if (values['dry-run']) return void process.stdout.write('Nothing is written: this is a dry run.\n');
  for (const { type, path, content } of changes) {
    const file = join(root, path);
    if (type === 'DELETE') rmSync(file, { recursive: true, force: true });
    else {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content!);
    }
  }
  settle(root, service);
  if (verb === 'new')
    process.stdout.write(`${service} is there: npm start runs it, npm run nx -- test ${service} tests it.\n`);
  else process.stdout.write(`${service} is gone. What it had in a database is still there.\n`);
}

await main().catch((error: Error & { code?: string }) => {
  const isSaid = error instanceof Refusal || error.code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`${isSaid ? error.message : error.stack}\n`);
  process.exitCode = isSaid ? 64 : 1;
});
