import { camelize, pluralize, singularize } from 'inflection';
import { Refusal } from './refusal.ts';
import { RESERVED_JOBS, RESERVED_NAMES, RESERVED_RESOURCES, SQL_KEYWORDS } from './reserved.ts';

export type Kind = 'api' | 'worker';
export type Options = {
  name: string;
  resource?: string | undefined;
  route?: string | undefined;
  job?: string | undefined;
  database?: boolean | undefined;
};
export type Names = ReturnType<typeof namesOf>;

const KEBAB = /^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/;
const ROUTE = /^\/api\/v1(\/[a-z0-9]+(-[a-z0-9]+)*)+$/;
/** A role is at most 63 bytes long, and a host name of a container, too. */
const LONGEST = 40;

/** Everything that templates and wiring call a service and what it is about, from what somebody typed. */
export function namesOf(kind: Kind, options: Options) {
  const base = checked(
    'name',
    options.name.endsWith(`-${kind}`) ? options.name.slice(0, -kind.length - 1) : options.name,
  );
  if (RESERVED_NAMES.has(base) || base.startsWith('pg-'))
    throw new Refusal(`The name ${base} is reserved for a part of the stack: choose another one.`);
  const schema = base.replaceAll('-', '_');
  const hasDatabase = kind === 'api' || options.database !== false;
  if (hasDatabase && SQL_KEYWORDS.has(schema))
    throw new Refusal(
      `The schema ${schema} would be a keyword of Postgres: choose another name, such as ${lastWord(base, pluralize)}.`,
    );
  const item = lastWord(checked('resource', options.resource ?? base), singularize);
  const items = lastWord(item, pluralize);
  for (const word of [item, items]) checked('resource', word);
  const job = checked('job', options.job ?? `process-${item}`);
  const itemVar = camel(item);
  if (RESERVED_RESOURCES.has(item) || RESERVED_RESOURCES.has(itemVar))
    throw new Refusal(
      `The resource ${item} would clash with a word of TypeScript, Prisma or the service itself: name another one with --resource.`,
    );
  if (!job.includes('-') || RESERVED_JOBS.has(job))
    throw new Refusal(`The job ${job} cannot be used: name it with --job by what it does to what, such as send-mail.`);
  const route = options.route ?? `/api/v1/${items}`;
  if (!ROUTE.test(route))
    throw new Refusal(
      `The route ${route} cannot be used: it must be like /api/v1/line-items, in small letters and without a slash at the end.`,
    );
  const name = `${base}-${kind}`;
  const itemWords = item.replaceAll('-', ' ');
  return {
    kind,
    name,
    role: name.replaceAll('-', '_'),
    variable: variableOf(name),
    base,
    Base: pascal(base),
    hasDatabase,
    schema,
    route,
    item,
    Item: pascal(item),
    itemVar,
    itemWords,
    anItem: `${article(itemWords)} ${itemWords}`,
    items,
    Items: pascal(items),
    ITEMS: variableOf(items),
    itemsWords: items.replaceAll('-', ' '),
    job,
    jobVar: camel(job),
  };
}

/** How environment variables name a service: `ROSTER_API` of `ROSTER_API_MEMORY`. */
export const variableOf = (name: string) => name.toUpperCase().replaceAll('-', '_');

const pascal = (kebab: string) => camelize(kebab.replaceAll('-', '_'));
const camel = (kebab: string) => camelize(kebab.replaceAll('-', '_'), true);
const lastWord = (kebab: string, change: (word: string) => string) => kebab.replace(/[^-]+$/, (word) => change(word));
const article = (words: string) =>
  /^([aeio]|u(?!ni|se|ti|r[aei])|hour|honest|heir)/.test(words) && !/^(eu|one\b|once)/.test(words) ? 'an' : 'a';

export function checked(what: string, value: string) {
  if (!KEBAB.test(value))
    throw new Refusal(
      `The ${what} ${JSON.stringify(value)} cannot be used: it must be like line-item, small letters and digits in words that begin with a letter, joined by hyphens.`,
    );
  if (value.length < 2 || value.length > LONGEST)
    throw new Refusal(`The ${what} ${value} cannot be used: it must have 2 to ${LONGEST} characters.`);
  return value;
}
