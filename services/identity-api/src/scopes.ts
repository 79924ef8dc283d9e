import { Problem } from '@keelson/http';
import { z } from 'zod';

/** Such as `workers:read`; `*` stands for all that there are. */
const WORD = /\*|[a-z][a-z0-9-]*:[a-z][a-z0-9-]*/.source;

export const scopeWord = z.string().regex(new RegExp(`^(${WORD})$`), 'must be like workers:read, or *');
/** RFC 6749, 3.3: words with one space between them. */
export const scopeText = z
  .string()
  .max(1000)
  .regex(new RegExp(`^(${WORD})( (${WORD}))*$`), 'must be like workers:read workers:write')
  .meta({ description: 'Scopes with spaces between them; all that there are where it is left out' });

const notGranted = (scope: string) => new Problem(403, `The scope ${scope} was not granted.`);

/** Those that are asked for, which have to be among those that somebody has. @throws Problem 403, or what `refused` says */
export function granted(has: string[], asked: string | undefined, refused = notGranted): string[] {
  if (asked === undefined) return has;
  const scopes = [...new Set(asked.split(' '))];
  const beyond = scopes.find((scope) => !has.includes(scope) && !has.includes('*'));
  if (beyond) throw refused(beyond);
  return scopes;
}
