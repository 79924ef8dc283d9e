import { notFound, operation, Problem } from '@keelson/http';
import { answerOnce, idempotencyHeaders, replayed, send } from '@keelson/idempotency';
import { isDuplicate } from '@keelson/postgres';
import { z } from 'zod';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { listWorkers } from './list-workers.routes.ts';
import { etag, NewWorker, toRow, toWorker, Worker, WorkerChanges, WORKERS } from './worker.ts';

const params = z.object({ id: z.uuid() });
const ifNoneMatch = z.object({
  'if-none-match': z.string().optional().meta({ description: 'Answer 304 if the worker still has this ETag' }),
});
const ifMatch = z.object({
  'if-match': z.string().optional().meta({ description: 'Act only on the version with this ETag' }),
});
const tagged = z.object({ ETag: z.string() });
const created = z.object({ ETag: z.string(), Location: z.string(), ...replayed });

export function workerOperations({ db }: { db: Database }) {
  return [
    listWorkers({ db }),

    operation({
      method: 'post',
      path: WORKERS,
      summary: 'Add a worker',
      access: 'workers:write',
      headers: idempotencyHeaders,
      body: NewWorker,
      answers: { 201: { description: 'The worker', schema: Worker, headers: created } },
      problems: [409],
      handle: async ({ headers, body, res }) => {
        const attempt = { operation: `POST ${WORKERS}`, key: headers['idempotency-key'], body };
        const answer = await answerOnce(db, attempt, async (tx) => {
          const row = await tx.worker.create({ data: { ...body, hiredOn: new Date(body.hiredOn) } });
          return { status: 201, headers: { ETag: etag(row), Location: `${WORKERS}/${row.id}` }, body: toWorker(row) };
        }).catch(refuseDuplicate);
        send(res, answer);
      },
    }),

    operation({
      method: 'get',
      path: `${WORKERS}/{id}`,
      summary: 'Read a worker',
      access: 'workers:read',
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
      path: `${WORKERS}/{id}`,
      summary: 'Change fields of a worker',
      access: 'workers:write',
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
      path: `${WORKERS}/{id}`,
      summary: 'Remove a worker',
      access: 'workers:write',
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
