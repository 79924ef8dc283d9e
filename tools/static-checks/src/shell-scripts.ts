import { spawnSync } from 'node:child_process';
import { counted, type Check, type Repository } from './check.ts';

type Comment = { file: string; line: number; code: number; message: string };

const NOT_ASKED = [
  'SC2001', // sed in place of an expansion: a matter of taste
  'SC2015', // A && B || C runs C also where B fails, which is what it is written for here
  'SC2016', // a $ in single quotes is awk's, sed's or Go's
  'SC2317', // a function that nothing seems to call is called by a trap, or by the verb that was given
  'SC2329', // the same, as later versions call it
];

/** What is sourced shares its variables with the one that sources it. */
const OF_PARTS = [
  'SC2034', // set, and not used in this file
  'SC2153', // perhaps misspelled: it is in no other way set in this file
  'SC2154', // used, and not set in this file
];

/** By their first line, since verbs have no extension; and those that others source, which have one. */
export const isShellScript = (file: string, read: Repository['read']) =>
  file.endsWith('.sh') || (!/\.\w+$/.test(file) && /^#!.*\b(ba|da|k)?sh\b/.test(firstLine(read(file))));

export const shellScripts: Check = ({ root, files, read }) => {
  if (spawnSync('shellcheck', ['--version']).error) return { skipped: 'shellcheck not installed' };
  const scripts = files.filter((file) => isShellScript(file, read));
  const isPart = (file: string) => !read(file).startsWith('#!');
  const comments = [
    ...commented(
      root,
      NOT_ASKED,
      scripts.filter((file) => !isPart(file)),
    ),
    ...commented(root, [...NOT_ASKED, ...OF_PARTS], scripts.filter(isPart)),
  ];
  const problems = comments.map(({ file, line, code, message }) => ({
    file,
    line,
    what: `${message} (SC${code})`,
    mend: `shellcheck.net/wiki/SC${code} says how; or "# shellcheck disable=SC${code} # why" in the line above.`,
  }));
  return { seen: counted(scripts.length, 'shell script'), problems };
};

function commented(root: string, notAsked: string[], scripts: string[]): Comment[] {
  if (scripts.length === 0) return [];
  const args = ['--format=json', '--external-sources', `--exclude=${notAsked.join(',')}`, ...scripts];
  const { stdout, stderr } = spawnSync('shellcheck', args, { cwd: root, encoding: 'utf8' });
  if (stderr.trim()) throw new Error(`shellcheck did not answer: ${stderr.trim()}`);
  return JSON.parse(stdout);
}

const firstLine = (text: string) => text.split('\n', 1)[0]!;
