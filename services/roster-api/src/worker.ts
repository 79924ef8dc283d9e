import { line } from '@keelson/http';
import { z } from 'zod';
import type { Prisma } from '../generated/prisma/client.ts';

export const WORKERS = '/api/v1/workers';

const day = z.iso.date().refine((date) => date >= '1900-01-01', 'must not be before 1900-01-01');
export const NewWorker = z
  .strictObject({
    name: line(200),
    role: line(100),
    email: z.email().max(254).toLowerCase(),
    hiredOn: day.meta({ examples: ['2024-02-29'] }),
  })
  .meta({ id: 'NewWorker' });
export const WorkerChanges = NewWorker.partial().meta({ id: 'WorkerChanges' });
export const Worker = z
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

export type Row = Prisma.WorkerGetPayload<object>;
export const etag = (row: Row) => `"${row.version}"`;
const dateOf = (date: Date) => date.toISOString().slice(0, 10);
export const toWorker = ({ version: _, ...row }: Row) => ({ ...row, hiredOn: dateOf(row.hiredOn) });
export const toRow = <T extends { hiredOn?: string | undefined }>({ hiredOn, ...fields }: T) => ({
  ...fields,
  ...(hiredOn ? { hiredOn: new Date(hiredOn) } : {}),
});
