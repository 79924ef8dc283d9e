import { join } from 'node:path';
import type { createClient } from '@keelson/http-client';
import { exportWorkers } from '@keelson/jobs';
import { handle, type JobContext } from '@keelson/queue';
import { z } from 'zod';
import { csvLine } from './csv.ts';
import { writeWhole } from './whole-file.ts';

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
  const report = async (
    exportId: string,
    progress: object,
    { requestId, signal }: { requestId: string; signal?: AbortSignal },
  ) =>
    Export.parse(
      await roster(`/internal/v1/exports/${exportId}`, {
        method: 'PATCH',
        body: progress,
        requestId,
        ...(signal ? { signal } : {}),
      }),
    );

  return handle({
    job: exportWorkers,

    async run({ exportId }, context) {
      const { state } = await report(exportId, { state: 'running', rowsDone: 0 }, context);
      if (state !== 'running') return context.log.info({ state }, 'the export has ended already');
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
      const bytes = await writeWhole(join(mediaDir, 'exports', `${exportId}.csv`), lines());
      await report(exportId, { state: 'done', rowsDone, bytes }, context);
    },

    async onGivenUp({ exportId }, reason, context) {
      await report(exportId, { state: 'failed', reason: reason.slice(0, 1000) }, context);
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
