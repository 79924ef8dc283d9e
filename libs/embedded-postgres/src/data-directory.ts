import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { surroundings, type Launch } from './without-root.ts';

export function isInitialized(data: string, { major }: Binaries): boolean {
  const found = statSync(data, { throwIfNoEntry: false });
  if (!found) return false;
  const user = process.getuid?.() ?? 0;
  if (user !== 0 && found.uid !== user)
    throw new Error(`${data} belongs to another user (id ${found.uid}): start as that user, or choose another folder.`);
  const files = readdirSync(data);
  if (files.length === 0) return false;
  if (!files.includes('PG_VERSION')) throw new Error(`${data} is not empty, and it holds no Postgres database.`);
  const version = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (version === major) return true;
  throw new Error(
    `The database in ${data} was made by Postgres ${version}, and this is Postgres ${major}: ` +
      'dump it with the old version and restore it into a new folder, or move it away to begin afresh.',
  );
}

export interface InitializeOptions {
  binaries: Binaries;
  launch: Launch;
  durable: boolean;
  password: string;
}

/** Made in a folder beside it, which is moved into place when complete: an interruption leaves nothing half made. */
export async function initialize(data: string, { binaries, launch, durable, password }: InitializeOptions) {
  const unfinished = `${data}.new`;
  const passwordFile = `${data}.password`;
  const remove = () => [unfinished, passwordFile].map((path) => rmSync(path, { recursive: true, force: true }));
  remove();
  try {
    mkdirSync(unfinished, { mode: 0o700 });
    writeFileSync(passwordFile, password, { mode: 0o600 });
    const { owner } = launch;
    if (owner) [unfinished, passwordFile].map((path) => chownSync(path, owner.uid, owner.gid));
    const args = ['-D', unfinished, '--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
    // Compares by code point and knows every letter's case, the same on every machine.
    args.push('--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8');
    if (!durable) args.push('--no-sync');
    const [file, allArgs, options] = launch.command(binaries.initdb, args);
    const initdb = spawn(file, allArgs, {
      ...options,
      ...surroundings(unfinished),
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    let errors = '';
    initdb.stderr!.setEncoding('utf8').on('data', (chunk) => (errors += chunk));
    const [code] = await once(initdb, 'close');
    if (code !== 0) throw new Error(`Postgres could not make its data directory: ${errors.trim()}`);
    if (statSync(data, { throwIfNoEntry: false })) rmdirSync(data);
    renameSync(unfinished, data);
  } finally {
    remove();
  }
}
