import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const MAIN = 'main';

export type Repository = {
  /** That of package.json. */
  version: string;
  commit: string;
  /** Undefined where a commit is checked out, as CI does. */
  branch: string | undefined;
  /** Files that differ from the commit. */
  changed: string[];
  /** All that look like a version, and those on this commit. */
  tags: string[];
  tagsHere: string[];
  /** Whether the commit belongs to main, and is its last: of main here and of origin's, as far as that is known. */
  isOnMain: boolean;
  isNewest: boolean;
};

export function readRepository(root: string): Repository {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' });
  const lines = (...args: string[]) =>
    git(...args)
      .split('\n')
      .filter(Boolean);
  const commit = git('rev-parse', 'HEAD').trim();
  const tips = lines('for-each-ref', '--format=%(objectname)', `refs/heads/${MAIN}`, `refs/remotes/origin/${MAIN}`);
  return {
    version: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    commit,
    branch: lines('branch', '--show-current')[0],
    changed: lines('status', '--porcelain').map((line) => line.slice(3)),
    tags: lines('tag', '--list', 'v[0-9]*'),
    tagsHere: lines('tag', '--list', 'v[0-9]*', '--points-at', commit),
    isOnMain: tips.some((tip) => isAncestor(root, commit, tip)),
    isNewest: tips.includes(commit) && tips.every((tip) => isAncestor(root, tip, commit)),
  };
}

/** False also where the one or the other is not known here. */
export const isAncestor = (root: string, older: string, newer: string) =>
  spawnSync('git', ['merge-base', '--is-ancestor', older, newer], { cwd: root }).status === 0;
