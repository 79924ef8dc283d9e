import { counted, lineOf, type Check, type Problem } from './check.ts';
import type { Lock } from './lockfile.ts';

const LOCK = 'package-lock.json';

/** They ask for no more than that their text goes along. */
const EVERYWHERE = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
];

/** They ask for more of whoever passes a copy on, which nobody does with a tool: no image has it. */
const IN_TOOLS = [...EVERYWHERE, 'CC-BY-4.0', 'MPL-2.0'];

/** What the lock does not say, read in the package: its package.json has the form of old, `licenses`. */
const READ_BY_HAND: Record<string, string> = { buildcheck: 'MIT', 'cpu-features': 'MIT', ssh2: 'MIT' };

/** Every package that npm could install here or on another platform, by its licence. */
export const licences: Check = ({ read }) => {
  const text = read(LOCK);
  const { packages }: Lock = JSON.parse(text);
  const problems: Problem[] = [];
  const counts = new Map<string, number>();
  for (const [key, { version, link, dev, license }] of Object.entries(packages)) {
    if (link || version === undefined || !key.includes('node_modules/')) continue;
    const name = key.split('node_modules/').at(-1)!;
    const licence = license ?? READ_BY_HAND[name] ?? 'no licence';
    counts.set(licence, (counts.get(licence) ?? 0) + 1);
    if (isAllowed(licence, dev ? IN_TOOLS : EVERYWHERE)) continue;
    problems.push({
      file: LOCK,
      line: lineOf(text, `"${key}": {`)!,
      what: `${name} ${version} has ${licence === 'no licence' ? licence : `the licence ${licence}`}${dev ? '' : ', and may be in an image'}`,
      mend: 'read it, then take another package, or add it in tools/static-checks/src/licences.ts.',
    });
  }
  const listed = [...counts].sort(([, a], [, b]) => b - a).map(([licence, count]) => `${licence} ${count}`);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return { seen: `${counted(total, 'package')}: ${listed.join(', ')}`, problems };
};

/** An SPDX expression; one with both AND and OR is for a person to read. */
export function isAllowed(expression: string, allowed: string[]): boolean {
  const plain = expression.replace(/^\((.*)\)$/, '$1');
  const any = plain.split(' OR ');
  const every = plain.split(' AND ');
  const isListed = (licence: string) => allowed.includes(licence);
  return every.length > 1 ? every.every(isListed) : any.some(isListed);
}
