import type { Tree } from '@nx/devkit';

type Lock = { name?: string; packages: Record<string, object> };
type Manifest = { name: string; version: string; dependencies?: object; devDependencies?: object };

/** What npm would write into its lockfile for a service, or take out of it, to the byte; npm itself takes seconds. */
export const LOCKFILES = ['package-lock.json', 'node_modules/.package-lock.json'];

const byName = ([a]: [string, ...unknown[]], [b]: [string, ...unknown[]]) => a.localeCompare(b, 'en');

export function lock(text: string, name: string, manifest?: Manifest) {
  const file: Lock = JSON.parse(text);
  const [folder, link] = [`services/${name}`, `node_modules/@keelson/${name}`];
  const entries = Object.entries(file.packages).filter(([path]) => path !== folder && path !== link);
  if (manifest) {
    const { name, version, dependencies, devDependencies } = manifest;
    entries.push([folder, { name, version, dependencies, devDependencies }], [link, { resolved: folder, link: true }]);
    entries.sort(byName);
  }
  file.packages = Object.fromEntries(entries);
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** @param isThere whether the service is to have its entries, or lose them */
export function updateLockfile(tree: Tree, name: string, isThere: boolean) {
  const file = LOCKFILES[0]!;
  const text = tree.read(file, 'utf8');
  const manifest = () => JSON.parse(tree.read(`services/${name}/package.json`, 'utf8')!);
  if (text) tree.write(file, lock(text, name, isThere ? manifest() : undefined));
}

/** What npm would write into its lockfile for the same packages in another scope. */
export function renameInLock(text: string, from: string, to: string) {
  const file: Lock = JSON.parse(text.replaceAll(`@${from}/`, `@${to}/`));
  for (const own of [file, file.packages['']] as { name?: string }[]) if (own?.name === from) own.name = to;
  file.packages = Object.fromEntries(Object.entries(file.packages).sort(byName));
  return sortDependencies(`${JSON.stringify(file, null, 2)}\n`);
}

/** npm keeps what a package depends on in the order of the names. */
export const sortDependencies = (json: string) =>
  json.replaceAll(/(?<="\w*[dD]ependencies": \{\n)[^{}]*(?=\n *\})/g, (lines) => {
    const named = lines.split(',\n').map((line): [string, string] => [line.split('"')[1]!, line]);
    return named
      .sort(byName)
      .map(([, line]) => line)
      .join(',\n');
  });
