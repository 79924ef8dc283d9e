import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SCOPE = '@keelson/';

/** The folders a service's code comes from: its own, and those of the libs that it depends on, however far. */
export function sourceFolders(root: string, folder: string): string[] {
  const folders = new Set<string>([folder]);
  for (const project of folders) {
    const { dependencies = {} } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
    for (const name of Object.keys(dependencies))
      if (name.startsWith(SCOPE)) folders.add(join(root, 'libs', name.slice(SCOPE.length)));
  }
  return [...folders].flatMap((project) => [join(project, 'src'), join(project, 'generated')]).filter(existsSync);
}
