import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../..');

/** Every API and worker: a clone has others than this repository. */
export const services = readdirSync(join(root, 'services')).filter((name) => /-(api|worker)$/.test(name));

/**
 * The repository as a clone of the present state would have it, in a folder of its own: what git knows or would add,
 * and so no packages, no generated code, no settings.
 */
export function freshClone() {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-e2e-'));
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root });
  for (const file of listed
    .toString()
    .split('\0')
    .filter((name) => name && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
