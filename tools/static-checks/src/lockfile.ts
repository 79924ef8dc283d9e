import { dirname } from 'node:path';
import { counted, lineOf, type Check, type Problem } from './check.ts';

type Dependencies = Record<string, string>;
type Kinds = Partial<Record<(typeof KINDS)[number], Dependencies>>;
type Manifest = Kinds & { name?: string; version?: string; overrides?: Dependencies };
export type Locked = Kinds & {
  name?: string;
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  inBundle?: boolean;
  dev?: boolean;
  license?: string;
};
export type Lock = { packages: Record<string, Locked> };

const LOCK = 'package-lock.json';
const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;
const EXACT = /^(npm:(@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?$/;
const INSTALL = 'run npm install, and commit package-lock.json with package.json.';

/**
 * That an install gives what was reviewed, from any registry: each package has the digest of its content and names no
 * place to get it from, and the lock is that of the package.json files, which name exact versions.
 */
export const lockfile: Check = ({ files, read }) => {
  const text = read(LOCK);
  const { packages }: Lock = JSON.parse(text);
  const manifests = new Map<string, Manifest>(
    files
      .filter((file) => /^((services|libs|tools)\/[^/]+\/)?package\.json$/.test(file))
      .map((file) => [folderOf(file), JSON.parse(read(file))]),
  );
  const stubs = Object.values(manifests.get('')?.overrides ?? {})
    .filter((spec) => spec.startsWith('file:./'))
    .map((spec) => spec.replace('file:.', ''));
  const isOurs = (folder = '') => manifests.has(folder) || stubs.some((stub) => `/${folder}`.endsWith(stub));

  const problems: Problem[] = [];
  const report = (key: string, what: string, mend: string) => {
    const line = lineOf(text, `"${key}": {`);
    problems.push({ file: LOCK, ...(line === undefined ? {} : { line }), what: `${key || 'the root'} ${what}`, mend });
  };
  for (const [key, { link, resolved, integrity, inBundle }] of Object.entries(packages)) {
    if (isOurs(key)) continue;
    if (link && isOurs(resolved)) continue;
    if (!key.includes('node_modules/')) report(key, 'is no package of this repository', INSTALL);
    else if (resolved)
      report(
        key,
        `comes from ${resolved}`,
        'take it from the registry; with .npmrc, npm install leaves out where that is.',
      );
    else if (!inBundle && !integrity?.startsWith('sha512-'))
      report(key, 'has no sha512 digest', 'remove it from the lock, and run npm install.');
  }
  for (const [folder, manifest] of manifests) {
    const locked = packages[folder];
    if (!locked) {
      report(folder, 'is not in it', INSTALL);
      continue;
    }
    for (const kind of KINDS)
      for (const name of union(manifest[kind], locked[kind])) {
        const wanted = manifest[kind]?.[name];
        if (wanted !== locked[kind]?.[name])
          report(
            folder,
            `has ${name} ${locked[kind]?.[name] ?? 'nowhere'}, its package.json ${wanted ?? 'nowhere'}`,
            INSTALL,
          );
      }
  }
  const own = new Set([...manifests.values()].map(({ name }) => name));
  for (const file of files.filter((file) => /(^|\/)package\.json(\.template)?$/.test(file)))
    problems.push(...inexact(file, read(file), own));
  return { seen: `${counted(Object.keys(packages).length, 'entry').replace('entrys', 'entries')}`, problems };
};

const folderOf = (file: string) => (dirname(file) === '.' ? '' : dirname(file));
const union = (...all: (Dependencies | undefined)[]) => [...new Set(all.flatMap((one) => Object.keys(one ?? {})))];

/** A peer is what another package brings, so a range says it right. */
function inexact(file: string, text: string, own: Set<string | undefined>): Problem[] {
  const manifest: Manifest = JSON.parse(text);
  const all = KINDS.filter((kind) => kind !== 'peerDependencies').flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}),
  );
  return all
    .filter(([name, spec]) => !(EXACT.test(spec) || (spec === '*' && own.has(name))))
    .map(([name, spec]) => ({
      file,
      line: lineOf(text, `"${name}": "${spec}"`)!,
      what: `${name} is wanted as "${spec}"`,
      mend: 'name one version, and run npm install.',
    }));
}
