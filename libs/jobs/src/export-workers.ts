import { defineJob } from '@keelson/queue';
import { z } from 'zod';

/** Writes the roster as CSV. Added by roster-api, done by exports-worker. */
export const exportWorkers = defineJob({
  name: 'export-workers',
  payload: z.object({ exportId: z.uuid() }),
  maxAttempts: 4,
});
