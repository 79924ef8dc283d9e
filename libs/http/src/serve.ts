import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@keelson/logger';
import closeWithGrace from 'close-with-grace';
import type { Express } from 'express';

export type ServeOptions = {
  port: number;
  log: Logger;
  /** How long a signalled process still accepts requests, so that proxies can turn away from it first. */
  drainMs: number;
  /** Closes what the app holds, once the last request is answered. */
  onClose: () => Promise<void>;
};

/** nginx keeps idle connections for 60 s: the server must outlast it, or it closes under a request on its way. */
const KEEP_ALIVE_MS = 75_000;
const CLOSE_MS = 10_000;

/** Listens, and closes in order on SIGTERM or SIGINT: drain, stop accepting, answer what is under way, `onClose`, exit 0. */
export async function serve(app: Express, { port, log, drainMs, onClose }: ServeOptions) {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 30_000 }, app);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, resolve)).catch((error) => {
    log.fatal(
      error.code === 'EADDRINUSE' ? `port ${port} is taken: stop what listens there or set PORT` : error.message,
    );
    process.exit(1);
  });
  log.info({ port: (server.address() as AddressInfo).port }, 'listening');

  closeWithGrace({ delay: drainMs + CLOSE_MS, logger: false }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'closing because of an error');
    else log.info({ signal }, 'closing');
    app.locals['draining'] = true;
    await delay(drainMs);
    await new Promise((resolve) => server.close(resolve));
    await onClose();
    log.info('closed');
  });
  return server;
}
