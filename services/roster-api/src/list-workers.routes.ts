import { cursor, decodeCursor, encodeCursor, limit, line, operation, page } from '@keelson/http';
import { z } from 'zod';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { toWorker, Worker, WORKERS } from './worker.ts';

const SORTS = ['id', 'name', '-name', 'hiredOn', '-hiredOn'] as const;
const query = z.strictObject({
  limit,
  cursor,
  role: line(100).optional(),
  search: line(200).optional().meta({ description: 'A part of the name, in any case' }),
  sort: z.enum(SORTS).default('id').meta({ description: 'A leading - means descending' }),
});

export const listWorkers = ({ db }: { db: Database }) =>
  operation({
    method: 'get',
    path: WORKERS,
    summary: 'List workers, a page at a time',
    access: 'workers:read',
    query,
    answers: { 200: { description: 'A page of workers', schema: page(Worker) } },
    handle: async ({ query, res }) => {
      const field = query.sort.replace('-', '') as 'id' | 'name' | 'hiredOn';
      const direction = query.sort.startsWith('-') ? 'desc' : 'asc';
      const rows = await db.worker.findMany({
        where: {
          ...(query.role ? { role: query.role } : {}),
          ...(query.search ? { name: { contains: literal(query.search), mode: 'insensitive' } } : {}),
          ...(query.cursor ? after(query.cursor, query.sort, field, direction) : {}),
        },
        orderBy: field === 'id' ? [{ id: direction }] : [{ [field]: direction }, { id: direction }],
        take: query.limit + 1,
      });
      const items = rows.slice(0, query.limit).map(toWorker);
      const last = items.at(-1);
      res.json({
        items,
        nextCursor: rows.length > query.limit && last ? encodeCursor([query.sort, last[field], last.id]) : null,
      });
    },
  });

/** LIKE takes % and _ as wildcards; whoever searches for them means the characters. */
const literal = (text: string) => text.replaceAll(/[\\%_]/g, '\\$&');

/** The rows behind the one that the cursor names. */
function after(
  cursor: string,
  sort: string,
  field: 'id' | 'name' | 'hiredOn',
  direction: 'asc' | 'desc',
): Prisma.WorkerWhereInput {
  const value = field === 'hiredOn' ? z.iso.date() : field === 'id' ? z.uuid() : line(200);
  const [, position, id] = decodeCursor(cursor, z.tuple([z.literal(sort), value, z.uuid()]));
  const beyond = direction === 'asc' ? 'gt' : 'lt';
  if (field === 'id') return { id: { [beyond]: id } };
  const at = field === 'hiredOn' ? new Date(position) : position;
  // (field, id) > (at, id), which Prisma cannot say: from the first part Postgres knows where in its index to begin.
  return {
    AND: [{ [field]: { [`${beyond}e`]: at } }, { OR: [{ [field]: { [beyond]: at } }, { id: { [beyond]: id } }] }],
  };
}
