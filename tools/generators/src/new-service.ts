import { join } from 'node:path';
import { generateFiles, type Tree } from '@nx/devkit';
import { format } from 'prettier';
import { updateLockfile } from './lockfile.ts';
import { namesOf, type Kind, type Names, type Options } from './names.ts';
import { Refusal } from './refusal.ts';
import { readServices } from './services.ts';
import { addWiring } from './wiring.ts';

const TEMPLATES = join(import.meta.dirname, '../templates');

/** Adds a service to the tree, wired everywhere. @throws Refusal before anything is written */
export async function newService(tree: Tree, kind: Kind, options: Options) {
  const names = namesOf(kind, options);
  refuseTaken(tree, names);
  const folder = `services/${names.name}`;
  const template = kind === 'worker' && !names.hasDatabase ? 'worker-no-database' : kind;
  generateFiles(tree, join(TEMPLATES, template), folder, names);
  if (kind === 'worker') generateFiles(tree, join(TEMPLATES, 'job'), 'libs/jobs/src', names);
  await formatNew(tree);
  addWiring(tree, names);
  updateLockfile(tree, names.name, true);
  return names;
}

function refuseTaken(tree: Tree, { kind, name, route, schema, hasDatabase, job, jobVar }: Names) {
  if (tree.exists(`services/${name}`)) throw new Refusal(`services/${name} is there already: choose another name.`);
  for (const other of readServices(tree)) {
    if (hasDatabase && other.schema === schema)
      throw new Refusal(`The schema ${schema} belongs to ${other.name}: choose another name.`);
    const overlaps = (theirs: string) => `${theirs}/`.startsWith(`${route}/`) || `${route}/`.startsWith(`${theirs}/`);
    const taken = kind === 'api' ? other.routes.find(overlaps) : undefined;
    if (taken)
      throw new Refusal(`The route ${route} overlaps with ${taken} of ${other.name}: name another one with --route.`);
  }
  if (kind === 'api' && `${route}/`.startsWith('/api/v1/openapi/'))
    throw new Refusal(`The route ${route} is where the APIs describe themselves: name another one with --route.`);
  if (kind === 'worker' && (['index'].includes(job) || tree.exists(`libs/jobs/src/${job}.ts`)))
    throw new Refusal(`libs/jobs/src/${job}.ts is there already: name another job than ${jobVar} with --job.`);
}

/** Names differ in length, and so do the lines they stand in. */
async function formatNew(tree: Tree) {
  const style = JSON.parse(tree.read('package.json', 'utf8')!).prettier;
  for (const { path, type, content } of tree.listChanges())
    if (type === 'CREATE' && /\.(ts|json)$/.test(path))
      tree.write(path, await format(content!.toString(), { ...style, filepath: path }));
}
