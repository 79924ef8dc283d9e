import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@keelson/logger';
import { z } from 'zod';
import { createApi } from './api.ts';
import { operation } from './operation.ts';
import { serve } from './serve.ts';

/** An app that takes its time, as a process of its own for serve.test.ts to signal: slow-app.ts PORT DRAIN_MS */
const [port, drainMs] = process.argv.slice(2).map(Number);
// Written at once: the order of the lines is that of what happened.
const log = createLogger({ service: 'slow', level: 'info' }, { write: (line) => writeSync(1, line) });
const query = z.object({ ms: z.coerce.number().default(0) });
const answers = { 200: { description: 'At last', schema: z.object({ waited: z.number() }) } };

const slow = operation({
  method: 'get',
  path: '/slow',
  summary: 'Take some time',
  access: 'public',
  query,
  answers,
  handle: async ({ query, req, res }) => {
    req.log.info('asked');
    await delay(query.ms);
    res.json({ waited: query.ms });
  },
});
const fall = operation({
  method: 'get',
  path: '/fall',
  summary: 'Fail where nobody catches it',
  access: 'public',
  answers,
  handle: ({ res }) => {
    res.json({ waited: 0 });
    setImmediate(() => Promise.reject(new Error('nobody catches this')));
  },
});

const app = createApi({
  service: { service: 'slow', version: '1', commit: 'c', build: '42' },
  log,
  operations: [slow, fall],
  ready: async () => undefined,
  isUnavailable: () => false,
});
await serve(app, { port: port!, log, drainMs: drainMs!, onClose: async () => log.info('let go of what it held') });
