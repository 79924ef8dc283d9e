import { join } from 'node:path';
import { CallError, type createClient } from '@keelson/http-client';
import { exportWorkers } from '@keelson/jobs';
import { handle, type JobContext } from '@keelson/queue';
import { z } from 'zod';
import { csvLine } from './csv.ts';
import { removePartial, writeWhole } from './whole-file.ts';

const PAGE = 200;
const REPORT_EVERY_MS = 1000;
const COLUMNS = ['id', 'name', 'role', 'email', 'hiredOn'] as const;

/** What is read of the answers of roster-api. */
const Workers = z.object({
  items: z.array(
    z.object({ id: z.string(), name: z.string(), role: z.string(), email: z.string(), hiredOn: z.string() }),
  ),
  nextCursor: z.string().nullable(),
});
const Export = z.object({ state: z.enum(['queued', 'running', 'done', 'failed']) });

type Deps = { roster: ReturnType<typeof createClient>; mediaDir: string };

/** Writes `exports/<id>.csv`: pages of the roster, in the order of their ids, held one at a time. */
export function exportWorkersHandler({ roster, mediaDir }: Deps) {
  const fileOf = (exportId: string) => join(mediaDir, 'exports', `${exportId}.csv`);

  /** @returns the state that the export is in now, `gone` where there is no such export any more */
  async function report(exportId: string, progress: object, { requestId, signal }: JobContext) {
    const path = `/internal/v1/exports/${exportId}`;
    try {
      return Export.parse(await roster(path, { method: 'PATCH', body: progress, requestId, signal })).state;
    } catch (error) {
      if (error instanceof CallError && error.status === 404) return 'gone';
      throw error;
    }
  }

  return handle({
    job: exportWorkers,

    async run({ exportId }, context) {
      const state = await report(exportId, { state: 'running', rowsDone: 0 }, context);
      if (state !== 'running') return context.log.warn({ exportId, state }, 'nothing to do: the export has ended');
      let rowsDone = 0;
      let reportedAt = Date.now();
      async function* lines() {
        yield csvLine([...COLUMNS]);
        for await (const workers of pages(roster, context)) {
          yield workers.map((worker) => csvLine(COLUMNS.map((column) => worker[column]))).join('');
          rowsDone += workers.length;
          if (Date.now() - reportedAt < REPORT_EVERY_MS) continue;
          reportedAt = Date.now();
          await report(exportId, { state: 'running', rowsDone }, context);
        }
      }
      const bytes = await writeWhole(fileOf(exportId), lines());
      await report(exportId, { state: 'done', rowsDone, bytes }, context);
    },

    async onGivenUp({ exportId }, reason, context) {
      await report(exportId, { state: 'failed', reason: reason.slice(0, 1000) }, context);
      await removePartial(fileOf(exportId)).catch(() => undefined);
    },
  });
}

async function* pages(roster: Deps['roster'], { requestId, signal }: JobContext) {
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) });
    const { items, nextCursor } = Workers.parse(await roster(`/api/v1/workers?${query}`, { requestId, signal }));
    yield items;
    cursor = nextCursor;
  } while (cursor);
}
