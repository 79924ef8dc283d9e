import { spawnSync } from 'node:child_process';
import { Refusal } from './refusal.ts';

function git(root: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync('git', ['-C', root, ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status === 0) return stdout;
  throw new Refusal(
    `git is needed here, and this folder in a repository of it: ${stderr?.trim() || 'there is no git'}`,
  );
}

/** What is in the repository, or would be with the next commit. */
export const repositoryFiles = (root: string) =>
  git(root, 'ls-files', '--cached', '--others', '--exclude-standard', '-z').split('\0').filter(Boolean);

export function refuseUncommitted(root: string) {
  if (git(root, 'status', '--porcelain', '--', '.'))
    throw new Refusal(
      'There are uncommitted changes, and git could not tell them from those of a rename: commit them first, or say --with-uncommitted-changes.',
    );
}

/** A service that was never committed is taken for one that was made by mistake. */
export function refuseLoss(root: string, service: string) {
  const folder = `services/${service}`;
  if (git(root, 'ls-files', '--cached', '--', folder) && git(root, 'status', '--porcelain', '--', folder))
    throw new Refusal(
      `${folder} has changes that no commit has: commit or stash them first, or say --with-uncommitted-changes.`,
    );
}
