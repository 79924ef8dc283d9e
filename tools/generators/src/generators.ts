import type { Tree } from '@nx/devkit';
import { settle } from './after.ts';
import type { Options } from './names.ts';
import { newService } from './new-service.ts';
import { removeService } from './remove-service.ts';

/** For `npx nx g @keelson/generators:api orders`; `npm run new` does the same and is quicker. */
export async function api(tree: Tree, options: Options) {
  const { name } = await newService(tree, 'api', options);
  return () => settle(tree.root, name);
}

export async function worker(tree: Tree, options: Options) {
  const { name } = await newService(tree, 'worker', options);
  return () => settle(tree.root, name);
}

export async function remove(tree: Tree, { name, force }: { name: string; force?: boolean }) {
  removeService(tree, name, { force });
  return () => settle(tree.root, name);
}
