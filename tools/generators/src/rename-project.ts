import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Tree } from '@nx/devkit';
import { check, format, getFileInfo } from 'prettier';
import { repositoryFiles } from './git.ts';
import { LOCKFILES, renameInLock, sortDependencies } from './lockfile.ts';
import { checked } from './names.ts';
import { mentions, respell, spellings } from './project-name.ts';
import { Refusal } from './refusal.ts';
import { SQL_KEYWORDS, STACK_NAMES, YAML_WORDS } from './reserved.ts';

/** Settings that git ignores; those of other stacks, .env.NAME, say what runs somewhere under the old name. */
const OWN = ['.env', 'docker-compose.override.yml'];
/** What was said and done under the old name: a licence's copyright, the changes so far, applied migrations. */
const HISTORY = /(^|\/)((licen[cs]e|copying|notice|authors|changelog)\b[^/]*|migrations\/.*)$/i;
/** In how many files a word may stand already, for the sake of examples; a later rename would change those as well. */
const MOST_LOOKALIKES = 10;

export const projectName = (tree: Tree): string => JSON.parse(tree.read('package.json', 'utf8')!).name;

/** Gives the project another name wherever it stands. @throws Refusal before anything is written */
export async function renameProject(tree: Tree, name: string) {
  const from = projectName(tree);
  const lock = tree.read(LOCKFILES[0]!, 'utf8') ?? '{"packages":{}}';
  refuseUnusable(name, from, lock);
  const texts = readTexts(tree);
  const lookalikes = texts.filter(({ text }) => mentions(text, name)).map(({ file }) => file);
  if (lookalikes.length > MOST_LOOKALIKES)
    throw new Refusal(
      `The word ${name} stands in ${lookalikes.length} files already, such as ${lookalikes[0]}, and a later rename could not tell them apart: choose another name.`,
    );
  for (const { file, text } of texts) {
    const path = respell(file, from, name);
    const renamed = file === '.env' ? respellSettings(text, from, name) : respell(text, from, name);
    if (renamed !== text) tree.write(file, await tidy(tree, file, text, renamed));
    if (path !== file) move(tree, file, path);
  }
  tree.write(LOCKFILES[0]!, renameInLock(lock, from, name));
  const kept = repositoryFiles(tree.root).filter(
    (file) => HISTORY.test(file) && tree.isFile(file) && mentions(tree.read(file, 'utf8')!, from),
  );
  return { from, to: name, kept, lookalikes };
}

function refuseUnusable(name: string, present: string, lock: string) {
  checked('name', name);
  if (name === present) throw new Refusal(`${name} is the present name: choose another one.`);
  if (STACK_NAMES.has(name) || name.startsWith('pg-') || YAML_WORDS.has(name))
    throw new Refusal(`The name ${name} is reserved for a part of the stack: choose another one.`);
  const { snake: database, constant, title } = spellings(name);
  if (constant === title)
    throw new Refusal(`The name ${name} cannot be used: as a title and as a variable it would be the same, ${title}.`);
  if (SQL_KEYWORDS.has(database))
    throw new Refusal(`The database ${database} would be a keyword of Postgres: choose another name.`);
  const packages = Object.keys(JSON.parse(lock).packages).map((path) => path.split('node_modules/').at(-1)!);
  const clash = packages.find((dependency) => dependency === name || dependency.startsWith(`@${name}/`));
  if (clash)
    throw new Refusal(`The name ${name} is taken on npm, by ${clash} that is installed here: choose another one.`);
}

/** The files that can carry the name, lockfile and history apart; of one that is no text, its path can. */
function readTexts(tree: Tree) {
  const files = repositoryFiles(tree.root).filter((file) => !HISTORY.test(file) && file !== LOCKFILES[0]);
  return [...files, ...OWN]
    .filter((file) => tree.isFile(file) && !lstatSync(join(tree.root, file)).isSymbolicLink())
    .map((file) => ({ file, content: tree.read(file)! }))
    .map(({ file, content }) => ({ file, text: content.includes(0) ? '' : content.toString() }));
}

/** An address in .env is that of something which does not follow, such as a database elsewhere. */
const respellSettings = (text: string, from: string, to: string) =>
  text.replaceAll(/^.*$/gm, (line) => (line.includes('://') ? line : respell(line, from, to)));

function move(tree: Tree, from: string, to: string) {
  tree.write(to, tree.read(from)!, { mode: lstatSync(join(tree.root, from)).mode });
  tree.delete(from);
}

/** Names differ in length, and so do the lines they stand in, and in their place in the alphabet. */
async function tidy(tree: Tree, file: string, before: string, after: string) {
  const sorted = /(^|\/)package\.json(\.template)?$/.test(file) ? sortDependencies(after) : after;
  const { ignored, inferredParser } = await getFileInfo(join(tree.root, file), {
    ignorePath: join(tree.root, '.prettierignore'),
  });
  if (ignored || !inferredParser) return sorted;
  const style = { ...JSON.parse(tree.read('package.json', 'utf8')!).prettier, filepath: file };
  const formatted = await format(sorted, style);
  return formatted === sorted || (await check(before, style)) ? formatted : sorted;
}
