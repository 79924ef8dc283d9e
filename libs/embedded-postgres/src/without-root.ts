import { spawnSync, type SpawnOptions } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

const NOBODY = 65534;
const EXECUTE = 0o1;
const READ = 0o4;

export interface Owner {
  uid: number;
  gid: number;
}

/** How programs are started, and who owns what they write (undefined: whoever runs this). */
export interface Launch {
  owner: Owner | undefined;
  command: (program: string, args: string[]) => [file: string, args: string[], options: SpawnOptions];
}

/**
 * Postgres refuses to run as root: there it runs as the owner of its data, which is `nobody` for new data. Where that
 * user cannot reach one of the files (a clone under /root, say), it keeps the one privilege to pass closed folders.
 */
export function launchWithoutRoot(data: string, program: string, files: string[]): Launch {
  if (process.getuid?.() !== 0) return { owner: undefined, command: (file, args) => [file, args, {}] };
  const owner = ownerOf(data) ?? { uid: NOBODY, gid: NOBODY };
  const closed = [data, program, ...files].map((path) => barrier(path, owner)).find((path) => path !== undefined);
  if (!closed) return { owner, command: (file, args) => [file, args, { ...owner }] };

  const setpriv = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'];
  setpriv.push('--inh-caps=+dac_override', '--ambient-caps=+dac_override');
  setpriv.push('--securebits=+no_setuid_fixup'); // access(2), by which initdb looks for its files, heeds it only so
  if (spawnSync('setpriv', [...setpriv, program, '--version']).status === 0)
    return { owner, command: (file, args) => ['setpriv', [...setpriv, file, ...args], {}] };
  throw new Error(
    `Postgres does not run as root, and other users cannot enter ${closed}: start as an ordinary user, ` +
      'or move this folder to a place that every user can enter.',
  );
}

function ownerOf(data: string): Owner | undefined {
  const stat = statSync(data, { throwIfNoEntry: false });
  return stat && stat.uid !== 0 ? { uid: stat.uid, gid: stat.gid } : undefined;
}

/** What keeps this user from reading `path`, by the mode bits: a folder above it, or itself. */
function barrier(path: string, owner: Owner): string | undefined {
  const folders = [dirname(path)];
  while (folders[0] !== dirname(folders[0]!)) folders.unshift(dirname(folders[0]!));
  return folders.find((folder) => !allows(folder, owner, EXECUTE)) ?? (allows(path, owner, READ) ? undefined : path);
}

function allows(path: string, owner: Owner, bit: number): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return true;
  const shift = stat.uid === owner.uid ? 6 : stat.gid === owner.gid ? 3 : 0;
  return ((stat.mode >> shift) & bit) === bit;
}

/** A folder that they may be in, English messages (they are read here), and nothing of our own environment. */
export const surroundings = (cwd: string) => ({ cwd, env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' } });
