import type { Tree } from '@nx/devkit';
import { accountOf } from './account.ts';
import { settle, settleRename } from './after.ts';
import { refuseLoss, refuseUncommitted } from './git.ts';
import type { Options } from './names.ts';
import { newService } from './new-service.ts';
import { removeService } from './remove-service.ts';
import { renameProject } from './rename-project.ts';

/** For `npx nx g @keelson/generators:api orders`; `npm run new` does the same and is quicker. */
export async function api(tree: Tree, options: Options) {
  const { name } = await newService(tree, 'api', options);
  return () => settle(tree.root, name);
}

export async function worker(tree: Tree, options: Options) {
  const { name } = await newService(tree, 'worker', options);
  return () => settle(tree.root, name);
}

type Remove = { name: string; withUncommittedChanges?: boolean };

export async function remove(tree: Tree, { name, withUncommittedChanges }: Remove) {
  if (!withUncommittedChanges) refuseLoss(tree.root, name);
  removeService(tree, name);
  return () => settle(tree.root, name);
}

type Rename = { name: string; withUncommittedChanges?: boolean };

export async function rename(tree: Tree, { name, withUncommittedChanges }: Rename) {
  if (!withUncommittedChanges) refuseUncommitted(tree.root);
  const renamed = await renameProject(tree, name);
  const account = accountOf(tree.root, renamed);
  return () => {
    settleRename(tree.root, renamed.from, name);
    process.stdout.write(`${account}\n`);
  };
}
