import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as afterPolling, setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@keelson/logger';
import closeWithGrace from 'close-with-grace';
import type { Express } from 'express';
import { warmUp } from './warm-up.ts';

export type ServeOptions = {
  port: number;
  /** The address to listen on; all of the machine's where none is given. */
  host?: string | undefined;
  log: Logger;
  /** How many reads it asks itself for before it listens, so that its first clients wait less. */
  warmUpRequests?: number;
  /**
   * How long a signalled process still accepts requests, so that proxies can turn away from it first. As long again where
   * they have not yet.
   */
  drainMs: number;
  /** Closes what the app holds, once the last request is answered. */
  onClose: () => Promise<void>;
};

/** nginx keeps idle connections for 60 s: the server must outlast it, or it closes under a request on its way. */
const KEEP_ALIVE_MS = 75_000;
/** Proxies that have turned away send nothing for so long. */
const QUIET_MS = 250;
/** How long requests under way may take to end, and then `onClose`. */
const ANSWER_MS = 6000;
const CLOSE_MS = 5000;

/**
 * Warms up, listens, and closes in order on SIGTERM or SIGINT: drain, stop accepting, answer what is under way, `onClose`,
 * exit 0. An error that nobody caught does the same, and exits 1.
 */
export async function serve(app: Express, { port, host, log, warmUpRequests = 0, drainMs, onClose }: ServeOptions) {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 30_000 }, app);
  // Closing a server closes its idle connections. Those with a request under way become idle later.
  server.on('request', (_req, res) => {
    res.once('close', () => {
      if (!server.listening) server.closeIdleConnections();
    });
  });

  closeWithGrace({ delay: 2 * drainMs + ANSWER_MS + CLOSE_MS, logger: log }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'closing because of an error');
    else log.info({ signal }, 'closing');
    app.locals['draining'] = true;
    await drain(server, drainMs);
    const late = setTimeout(() => {
      log.warn(`cutting off requests that were not answered within ${ANSWER_MS / 1000} s`);
      server.closeAllConnections();
    }, ANSWER_MS);
    await new Promise((resolve) => server.close(resolve));
    clearTimeout(late);
    await onClose();
    log.info('closed');
  });

  const answered = await warmUp(app, warmUpRequests);
  if (answered > 0) log.info({ requests: answered }, 'warmed up');
  await once(server.listen(port, host), 'listening').catch((error) => {
    const taken = `port ${port} is taken: stop what listens there or set PORT`;
    log.fatal(error.code === 'EADDRINUSE' ? taken : error.message);
    process.exit(1);
  });
  log.info({ port: (server.address() as AddressInfo).port }, 'listening');
  return server;
}

/** Closing resets the connections that wait to be accepted or read. A proxy sends only reads again, so nobody may be coming. */
async function drain(server: Server, ms: number) {
  const begun = performance.now();
  let came = begun;
  const note = () => void (came = performance.now());
  server.on('connection', note).on('request', note);
  for (;;) {
    await delay(Math.min(ms, 50));
    await afterPolling(); // whoever came while this process was busy has been let in
    const now = performance.now();
    if (now - begun >= 2 * ms || (now - begun >= ms && now - came >= QUIET_MS)) return;
  }
}
