import { variableOf } from './names.ts';

type Spellings = ReturnType<typeof spellings>;

/** How a name is written where it stands: `@tall-ship/config`, the database `tall_ship`, a title, a variable, a type. */
export function spellings(kebab: string) {
  const words = kebab.split('-').map((word) => word[0]!.toUpperCase() + word.slice(1));
  const pascal = words.join('');
  return {
    kebab,
    snake: kebab.replaceAll('-', '_'),
    constant: variableOf(kebab),
    title: words.join(' '),
    pascal,
    camel: pascal[0]!.toLowerCase() + pascal.slice(1),
  };
}

/**
 * The name as a word of its own or as a part of an identifier; not the `rc` of 1.0.0-rc.2, nor where its word is explained
 * or stands for anybody's, as in registry.example.com/acme.
 */
function finder(name: string) {
  const { kebab, snake, constant, title, pascal, camel } = spellings(name);
  return new RegExp(
    [
      `(?:(?<!\\b[Aa]n? )|(?!${kebab} (?:is|means)\\b))(?<![A-Za-z0-9]|\\d-|example\\.\\w{3}/)(?:${kebab}|${snake}|${camel})(?![a-z0-9]|\\.\\d)`,
      `(?<![A-Z])(?:${title}|${pascal})(?![a-z])`,
      `(?<![A-Za-z0-9])${constant}(?![A-Za-z0-9])`,
    ].join('|'),
    'g',
  );
}

export const mentions = (text: string, name: string) => finder(name).test(text);

/** The text with another name, spelled in each place as the old one was. */
export function respell(text: string, from: string, to: string): string {
  const [old, own] = [spellings(from), spellings(to)];
  return text.replace(finder(from), (found, offset: number) => {
    const before = text.slice(Math.max(text.lastIndexOf('\n', offset) + 1, offset - 100), offset);
    const after = text.slice(offset + found.length, offset + found.length + 100);
    return own[spellingIn(before, found, after, old)];
  });
}

/** A name of one word has the same letters in several spellings: then its neighbours tell them apart. */
function spellingIn(before: string, found: string, after: string, old: Spellings): keyof Spellings {
  const [only, another] = (Object.keys(old) as (keyof Spellings)[]).filter((spelling) => old[spelling] === found);
  if (!another) return only!;
  if (found === old.title) return /[a-z0-9]$/.test(before) || /^[A-Z0-9]/.test(after) ? 'pascal' : 'title';
  if (/^[A-Z]/.test(after)) return 'camel';
  return /_$/.test(before) || /^_/.test(after) || isDatabase(before, after) ? 'snake' : 'kebab';
}

const DATABASE_OPTION = /\b(dbname|datname|database|(postgres|pg)_?(db|database))[\s=:'"`]{1,4}$/i;
const HOST_OF_URL = /(@[\w.-]+|:(\d+|\$\{?\w+\}?))\\?\/$/;

/** Postgres takes a hyphen in a name only where it is quoted, so the database has none. */
const isDatabase = (before: string, after: string) =>
  (DATABASE_OPTION.test(before) || HOST_OF_URL.test(before)) && !/^[\w/-]/.test(after);
