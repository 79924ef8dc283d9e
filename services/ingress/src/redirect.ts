import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import type { Logger } from '@keelson/logger';

const CHALLENGE = /^\/\.well-known\/acme-challenge\/([A-Za-z0-9_-]{1,200})$/;
const HOST = /^([a-z0-9.-]{1,253})(:\d{1,5})?$/i;
const MAX_CONNECTIONS = 1000;

export type RedirectOptions = {
  /** The port that clients know TLS by. */
  tlsPort: number;
  /** Where what a certificate authority wants to see is put (ACME's HTTP-01): a file for each token. */
  challengesDir: string;
  log: Logger;
};

/** Sends whoever comes without TLS to the same address with it. Never listens. */
export function createRedirect({ tlsPort, challengesDir, log }: RedirectOptions): Server {
  const publicPort = tlsPort === 443 ? '' : `:${tlsPort}`;

  async function answer({ url = '', headers }: IncomingMessage) {
    const token = CHALLENGE.exec(url)?.[1];
    const challenge = token && (await readFile(join(challengesDir, token), 'utf8').catch(() => undefined));
    if (challenge) return { status: 200, text: challenge };
    const host = HOST.exec(headers.host ?? '')?.[1]?.toLowerCase();
    if (!host || !url.startsWith('/')) return { status: 400, text: 'This is no request for a host.\n' };
    return { status: 301, text: '', location: `https://${host}${publicPort}${url}` };
  }

  const limits = { maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000, requireHostHeader: false };
  const server = createServer(limits, async (req, res) => {
    if (isHealthCheck(req)) return void res.end('ok\n');
    const { status, text, location } = await answer(req);
    res.writeHead(status, { 'content-type': 'text/plain', connection: 'close', ...(location && { location }) });
    res.end(req.method === 'HEAD' ? '' : text);
    const path = req.url?.split('?')[0];
    log.info({ client: req.socket.remoteAddress, host: req.headers.host, method: req.method, path, status });
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

/** The container's own. Whoever comes from outside names a host. */
const isHealthCheck = ({ url, headers }: IncomingMessage) => url === '/healthz' && headers.host === undefined;
