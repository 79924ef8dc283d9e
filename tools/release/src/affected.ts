import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { isAncestor } from './repository.ts';

/** The images that changed since a commit, as Nx has it; undefined where this commit does not come after that one. */
export function affectedSince(root: string, commit: string): string[] | undefined {
  if (!isAncestor(root, commit, 'HEAD')) return undefined;
  const args = ['show', 'projects', '--affected', `--base=${commit}`, '--head=HEAD', '--with-target=image', '--json'];
  const said = execFileSync(process.execPath, [nx(root), ...args], { cwd: root, env: environment(), encoding: 'utf8' });
  const projects: string[] = JSON.parse(said);
  return projects.map((name) => name.replace(/^@.*\//, ''));
}

export const nx = (root: string) => join(root, 'node_modules/nx/dist/bin/nx.js');
/** All of Nx in one process, which leaves none behind. */
export const environment = () => ({ ...process.env, NX_DAEMON: 'false', NX_ISOLATE_PLUGINS: 'false', NX_TUI: 'false' });
