import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { FsTree } from '@nx/devkit/internal';
import { accountOf } from './account.ts';
import { settle, settleRename } from './after.ts';
import { refuseLoss, refuseUncommitted } from './git.ts';
import { newService } from './new-service.ts';
import { withNpmOptions } from './npm-options.ts';
import { Refusal } from './refusal.ts';
import { removeService } from './remove-service.ts';
import { renameProject } from './rename-project.ts';

const USAGE = `Usage: npm run new api NAME [-- --resource line-item --route /api/v1/line-items --dry-run]
       npm run new worker NAME [-- --resource invoice --job process-invoice --no-database --dry-run]
       npm run remove NAME-api [-- --dry-run --with-uncommitted-changes]
       npm run rename NAME [-- --dry-run --with-uncommitted-changes]

Adds a service in the shape of roster-api or exports-worker, wired into Compose, the proxy and .env.template, or takes
one out again, to the byte.

  --resource NAME   what the service is about, in the singular (default: NAME in the singular)
  --route PATH      where an API is reached (default: /api/v1/ and the resource in the plural)
  --job NAME        the job that a worker does (default: process- and the resource)
  --no-database     a worker without tables of its own
  --dry-run         says what would be written, and writes nothing

Or gives the whole project another name: tall-ship for packages (@tall-ship/…), images and the Compose project,
tall_ship for the database, Tall Ship for titles, TALL_SHIP for variables.

  --with-uncommitted-changes   removes what no commit has, renames where git could not tell its changes from yours
`;

const root = resolve(import.meta.dirname, '../../..');

const options = {
  resource: { type: 'string' },
  route: { type: 'string' },
  job: { type: 'string' },
  'no-database': { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  'with-uncommitted-changes': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
type Verb = (tree: FsTree, words: string[], values: Values) => Promise<Ending> | Ending;
/** What follows once the tree is written, and the last word. */
type Ending = { settle: () => void; said: string };

const usage = () => new Refusal(USAGE.trim());

const verbs: Record<string, Verb> = {
  async new(tree, [kind, name, ...rest], values) {
    if ((kind !== 'api' && kind !== 'worker') || !name || rest.length > 0) throw usage();
    const service = await newService(tree, kind, { ...values, name, database: !values['no-database'] });
    return {
      settle: () => settle(root, service.name),
      said: `${service.name} is there: npm start runs it, npm run nx -- test ${service.name} tests it.`,
    };
  },

  remove(tree, [name, ...rest], values) {
    if (!name || rest.length > 0) throw usage();
    if (!values['with-uncommitted-changes']) refuseLoss(root, name);
    removeService(tree, name);
    return {
      settle: () => settle(root, name),
      said: `${name} is gone. What it had in a database is still there.`,
    };
  },

  async rename(tree, [name, ...rest], values) {
    if (!name || rest.length > 0) throw usage();
    if (!values['dry-run'] && !values['with-uncommitted-changes']) refuseUncommitted(root);
    const renamed = await renameProject(tree, name);
    return { settle: () => settleRename(root, renamed.from, name), said: accountOf(root, renamed) };
  },
};

async function main() {
  const { values, positionals } = parseArgs({
    args: withNpmOptions(process.argv.slice(2), process.env),
    options,
    allowPositionals: true,
  });
  const [verb, ...words] = positionals;
  if (values.help) return void process.stdout.write(USAGE);
  const run = verbs[verb ?? ''];
  if (!run) throw usage();
  const tree = new FsTree(root, false);
  const { settle, said } = await run(tree, words, values);
  const changes = tree.listChanges().toSorted((a, b) => a.path.localeCompare(b.path));
  for (const { type, path } of changes) process.stdout.write(`${type} ${path}\n`);
  if (values['dry-run']) return void process.stdout.write('Nothing is written: this is a dry run.\n');
  for (const { type, path, content, options } of changes) {
    const file = join(root, path);
    if (type === 'DELETE') rmSync(file, { recursive: true, force: true });
    else {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content!, options);
    }
  }
  settle();
  process.stdout.write(`${said}\n`);
}

await main().catch((error: Error & { code?: string }) => {
  const isSaid = error instanceof Refusal || error.code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`${isSaid ? error.message : error.stack}\n`);
  process.exitCode = isSaid ? 64 : 1;
});
