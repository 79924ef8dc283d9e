import { Problem } from './problem.ts';
import { z } from 'zod';

const range = 'must be a whole number from 1 to 200';
export const limit = z.coerce.number(range).int(range).min(1, range).max(200, range).default(50);
export const cursor = z.string().max(2000).optional().meta({ description: 'The nextCursor of the page before' });

export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** A cursor names the last row of a page by what the list is sorted by; clients need not know how. */
export const encodeCursor = (position: unknown) => Buffer.from(JSON.stringify(position)).toString('base64url');

/** @throws Problem 400 for anything but a cursor of this list, in this order */
export function decodeCursor<T>(cursor: string, position: z.ZodType<T>): T {
  try {
    return position.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    const detail = 'is not a cursor of this list in this order';
    throw new Problem(400, 'Some parameters of the request are not valid.', {
      errors: [{ in: 'query', name: 'cursor', detail }],
    });
  }
}
