import { cursor, decodeCursor, encodeCursor, limit, notFound, operation, page, Problem, report } from '@keelson/http';
import { answerOnce, idempotencyHeaders, replayed, send } from '@keelson/idempotency';
import { exportWorkers } from '@keelson/jobs';
import { enqueue } from '@keelson/queue';
import { z } from 'zod';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';

const PATH = '/api/v1/exports';

const Export = z
  .object({
    id: z.uuid(),
    state: z.enum(['queued', 'running', 'done', 'failed']),
    reason: z.string().nullable().meta({ description: 'Why it failed' }),
    rowsDone: z.int(),
    rowsTotal: z.int().nullable().meta({ description: 'Known once it runs' }),
    bytes: z.int().nullable().meta({ description: 'The size of the file, once it is done' }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Export' });
const NewExport = z.strictObject({}).meta({ id: 'NewExport' });
const count = z.int32().min(0);
const Progress = z
  .discriminatedUnion('state', [
    z.strictObject({ state: z.literal('running'), rowsDone: count }),
    z.strictObject({ state: z.literal('done'), rowsDone: count, bytes: z.int().min(0) }),
    z.strictObject({ state: z.literal('failed'), reason: report(1000) }),
  ])
  .meta({ id: 'Progress' });

const params = z.object({ id: z.uuid() });
const located = z.object({ Location: z.string(), ...replayed });

type Row = Prisma.ExportGetPayload<object>;
const toExport = (row: Row) => ({ ...row, bytes: row.bytes === null ? null : Number(row.bytes) });

export function exportOperations({ db }: { db: Database }) {
  return [
    operation({
      method: 'post',
      path: PATH,
      summary: 'Export the roster as CSV',
      access: 'exports:write',
      headers: idempotencyHeaders,
      body: NewExport,
      answers: { 202: { description: 'A worker process will write the file', schema: Export, headers: located } },
      handle: async ({ headers, body, req, res }) => {
        const attempt = { operation: `POST ${PATH}`, key: headers['idempotency-key'], body };
        const answer = await answerOnce(db, attempt, async (tx) => {
          const row = await tx.export.create({ data: {} });
          const run = (sql: string, ...values: unknown[]) => tx.$executeRawUnsafe(sql, ...values);
          await enqueue(run, exportWorkers, { exportId: row.id }, { requestId: req.id });
          return { status: 202, headers: { Location: `${PATH}/${row.id}` }, body: toExport(row) };
        });
        send(res, answer);
      },
    }),

    operation({
      method: 'get',
      path: PATH,
      summary: 'List exports, the newest first',
      access: 'exports:read',
      query: z.strictObject({ limit, cursor }),
      answers: { 200: { description: 'A page of exports', schema: page(Export) } },
      handle: async ({ query, res }) => {
        const before = query.cursor ? decodeCursor(query.cursor, z.uuid()) : undefined;
        const rows = await db.export.findMany({
          where: before ? { id: { lt: before } } : {},
          orderBy: { id: 'desc' },
          take: query.limit + 1,
        });
        const items = rows.slice(0, query.limit).map(toExport);
        res.json({ items, nextCursor: rows.length > query.limit ? encodeCursor(items.at(-1)?.id) : null });
      },
    }),

    operation({
      method: 'get',
      path: `${PATH}/{id}`,
      summary: 'How far an export is',
      access: 'exports:read',
      params,
      answers: { 200: { description: 'The export', schema: Export } },
      problems: [404],
      handle: async ({ params, res }) => res.json(toExport(await find(db, params.id))),
    }),

    operation({
      method: 'get',
      path: `${PATH}/{id}/file`,
      summary: 'Download an export',
      access: 'exports:read',
      params,
      answers: {
        200: { description: 'The file', schema: z.string(), contentType: 'text/csv' },
        206: { description: 'A part of the file', schema: z.string(), contentType: 'text/csv' },
      },
      problems: [404, 409, 412, 416],
      handle: async ({ params, res }) => {
        const { id, state } = await find(db, params.id);
        if (state === 'failed') throw new Problem(409, 'The export failed: it has no file.');
        if (state !== 'done') throw new Problem(409, `The export is ${state}: it has no file yet.`);
        // The proxy sends the file: this process never touches it.
        res.set({
          'X-Accel-Redirect': `/media/exports/${id}.csv`,
          'Content-Disposition': `attachment; filename="workers-${id}.csv"`,
          'Cache-Control': 'private, no-store',
        });
        res.type('text/csv; charset=utf-8').end();
      },
    }),
  ];
}

/** What exports-worker reports. An export that has ended stays as it is, whoever still works on it. */
export function exportProgress({ db }: { db: Database }) {
  return [
    operation({
      method: 'patch',
      path: '/internal/v1/exports/{id}',
      summary: 'Report how far an export is',
      access: 'exports:report',
      params,
      body: Progress,
      answers: { 200: { description: 'The export as it is now', schema: Export } },
      problems: [404],
      handle: async ({ params, body, res }) => {
        const { rowsTotal } = await find(db, params.id);
        const counted = body.state === 'running' && rowsTotal === null ? { rowsTotal: await db.worker.count() } : {};
        const whole = body.state === 'done' ? { rowsTotal: body.rowsDone } : {};
        await db.export.updateMany({
          where: { id: params.id, state: { in: ['queued', 'running'] } },
          data: { ...body, ...counted, ...whole },
        });
        res.json(toExport(await find(db, params.id)));
      },
    }),
  ];
}

async function find(db: Database, id: string): Promise<Row> {
  const row = await db.export.findUnique({ where: { id } });
  if (!row) throw notFound('export');
  return row;
}
