import { notFound, operation, Problem } from '@keelson/http';
import { isDuplicate } from '@keelson/postgres';
import { z } from 'zod';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { answerOnce, idempotencyHeaders, replayed, send } from './idempotency.ts';
import { cursor, decodeCursor, encodeCursor, limit, page } from './paging.ts';
import { line } from './text.ts';

const PATH = '/api/v1/workers';
const SORTS = ['id', 'name', '-name', 'hiredOn', '-hiredOn'] as const;

const day = z.iso.date().refine((date) => date >= '1900-01-01', 'must not be before 1900-01-01');
const NewWorker = z
  .strictObject({
    name: line(200),
    role: line(100),
    email: z.email().max(254).toLowerCase(),
    hiredOn: day.meta({ examples: ['2024-02-29'] }),
  })
  .meta({ id: 'NewWorker' });
const WorkerChanges = NewWorker.partial().meta({ id: 'WorkerChanges' });
const Worker = z
  .object({
    id: z.uuid(),
    name: z.string(),
    role: z.string(),
    email: z.string(),
    hiredOn: z.iso.date(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Worker' });

const params = z.object({ id: z.uuid() });
const ifNoneMatch = z.object({
  'if-none-match': z.string().optional().meta({ description: 'Answer 304 if the worker still has this ETag' }),
});
const ifMatch = z.object({
  'if-match': z.string().optional().meta({ description: 'Act only on the version with this ETag' }),
});
const query = z.strictObject({
  limit,
  cursor,
  role: line(100).optional(),
  search: line(200).optional().meta({ description: 'A part of the name, in any case' }),
  sort: z.enum(SORTS).default('id').meta({ description: 'A leading - means descending' }),
});
const tagged = z.object({ ETag: z.string() });
const created = z.object({ ETag: z.string(), Location: z.string(), ...replayed });

type Row = Prisma.WorkerGetPayload<object>;
const etag = (row: Row) => `"${row.version}"`;
const dateOf = (date: Date) => date.toISOString().slice(0, 10);
const toWorker = ({ version: _, ...row }: Row) => ({ ...row, hiredOn: dateOf(row.hiredOn) });
const toRow = <T extends { hiredOn?: string | undefined }>({ hiredOn, ...fields }: T) => ({
  ...fields,
  ...(hiredOn ? { hiredOn: new Date(hiredOn) } : {}),
});

export function workerOperations({ db }: { db: Database }) {
  return [
    operation({
      method: 'get',
      path: PATH,
      summary: 'List workers, a page at a time',
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
    }),

    operation({
      method: 'post',
      path: PATH,
      summary: 'Add a worker',
      headers: idempotencyHeaders,
      body: NewWorker,
      answers: { 201: { description: 'The worker', schema: Worker, headers: created } },
      problems: [409],
      handle: async ({ headers, body, res }) => {
        const attempt = { operation: `POST ${PATH}`, key: headers['idempotency-key'], body };
        const answer = await answerOnce(db, attempt, async (tx) => {
          const row = await tx.worker.create({ data: { ...body, hiredOn: new Date(body.hiredOn) } });
          return { status: 201, headers: { ETag: etag(row), Location: `${PATH}/${row.id}` }, body: toWorker(row) };
        }).catch(refuseDuplicate);
        send(res, answer);
      },
    }),

    operation({
      method: 'get',
      path: `${PATH}/{id}`,
      summary: 'Read a worker',
      params,
      headers: ifNoneMatch,
      answers: { 200: { description: 'The worker', schema: Worker, headers: tagged } },
      problems: [404],
      handle: async ({ params, res }) => {
        const row = await db.worker.findUnique({ where: params });
        if (!row) throw notFound('worker');
        // Express compares the ETag with If-None-Match.
        res.set('ETag', etag(row)).json(toWorker(row));
      },
    }),

    operation({
      method: 'patch',
      path: `${PATH}/{id}`,
      summary: 'Change fields of a worker',
      params,
      headers: ifMatch,
      body: WorkerChanges,
      answers: { 200: { description: 'The worker as it is now', schema: Worker, headers: tagged } },
      problems: [404, 409, 412],
      handle: async ({ params, headers, body, res }) => {
        const [row] = await db.worker
          .updateManyAndReturn({
            where: matching(params.id, headers['if-match']),
            data: { ...toRow(body), version: { increment: 1 } },
          })
          .catch(refuseDuplicate);
        if (!row) throw await missing(db, params.id);
        res.set('ETag', etag(row)).json(toWorker(row));
      },
    }),

    operation({
      method: 'delete',
      path: `${PATH}/{id}`,
      summary: 'Remove a worker',
      params,
      headers: ifMatch,
      answers: { 204: { description: 'The worker is gone' } },
      problems: [404, 412],
      handle: async ({ params, headers, res }) => {
        const { count } = await db.worker.deleteMany({ where: matching(params.id, headers['if-match']) });
        if (count === 0) throw await missing(db, params.id);
        res.status(204).end();
      },
    }),
  ];
}

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

/** The worker, in one of the versions that If-Match allows (RFC 9110, 13.1.1): weak tags match nothing there. */
function matching(id: string, header: string | undefined): Prisma.WorkerWhereInput {
  if (header === undefined || header.trim() === '*') return { id };
  const tags = header.split(',').map((tag) => /^\s*"([1-9]\d{0,8})"\s*$/.exec(tag)?.[1]);
  return { id, version: { in: tags.filter((version) => version !== undefined).map(Number) } };
}

/** Why a write found no row: there is no such worker, or not in that version. */
async function missing(db: Database, id: string) {
  return (await db.worker.findUnique({ where: { id } })) ? changed() : notFound('worker');
}

const changed = () => new Problem(412, 'The worker was changed since: read it again.');

function refuseDuplicate(error: unknown): never {
  if (!isDuplicate(error)) throw error;
  const errors = [{ in: 'body' as const, name: 'email', detail: 'is taken by another worker' }];
  throw new Problem(409, 'There is a worker with this email address.', { errors });
}
