import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { lock, LOCKFILES, renameInLock } from './lockfile.ts';
import { secretOf } from './wiring.ts';

/**
 * What git ignores, and so is no part of the tree: the link in node_modules, and the secret of the development stack.
 * Those of deployed stacks are left: the service may still run there.
 */
export function settle(root: string, name: string) {
  const folder = join(root, 'services', name);
  const manifest = existsSync(join(folder, 'package.json'))
    ? JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    : undefined;
  if (!manifest) rmSync(folder, { recursive: true, force: true });
  const scope = join(root, 'node_modules/@keelson');
  if (hasPackages(root)) {
    mkdirSync(scope, { recursive: true });
    rmSync(join(scope, name), { force: true });
    if (manifest) symlinkSync(join('../../services', name), join(scope, name), 'junction');
    const hidden = join(root, LOCKFILES[1]!);
    if (existsSync(hidden)) writeFileSync(hidden, lock(readFileSync(hidden, 'utf8'), name, manifest));
  }
  if (!manifest) rmSync(join(root, '.secrets', secretOf(name)), { force: true });
  if (manifest && existsSync(join(root, '.env')))
    spawnSync('sh', ['scripts/setup'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The links in node_modules, which lead to the same folders by another scope. */
export function settleRename(root: string, from: string, to: string) {
  if (!hasPackages(root)) return;
  const [old, scope] = [from, to].map((name) => join(root, 'node_modules', `@${name}`)) as [string, string];
  if (existsSync(old)) renameSync(old, scope);
  const hidden = join(root, LOCKFILES[1]!);
  if (existsSync(hidden)) writeFileSync(hidden, renameInLock(readFileSync(hidden, 'utf8'), from, to));
}

/** Whether node_modules is this checkout's own. */
function hasPackages(root: string) {
  const folder = join(root, 'node_modules');
  return existsSync(folder) && !lstatSync(folder).isSymbolicLink();
}
