import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import type { Logger } from '@keelson/logger';
import { connectionCounter } from './connection-counter.ts';

const CHALLENGE = /^\/\.well-known\/acme-challenge\/([A-Za-z0-9_-]{1,200})$/;
const HOST = /^([a-z0-9.-]{1,253})(:\d{1,5})?$/i;
const LOOPBACK = '127.0.0.1';

export type RedirectOptions = {
  /** The port that clients know TLS by. */
  tlsPort: number;
  /** Where what a certificate authority wants to see is put (ACME's HTTP-01): a file for each token. */
  challengesDir: string;
  /** How many connections there may be, and from one address. The container's own health check is always let in. */
  connections: number;
  clientConnections: number;
  log: Logger;
};

/** Sends whoever comes without TLS to the same address with it. Never listens. */
export function createRedirect(options: RedirectOptions): Server {
  const { tlsPort, challengesDir, connections, clientConnections, log } = options;
  const publicPort = tlsPort === 443 ? '' : `:${tlsPort}`;

  async function answer({ url = '', headers }: IncomingMessage) {
    const token = CHALLENGE.exec(url)?.[1];
    const challenge = token && (await readFile(join(challengesDir, token), 'utf8').catch(() => undefined));
    if (challenge) return { status: 200, text: challenge };
    const host = HOST.exec(headers.host ?? '')?.[1]?.toLowerCase();
    if (!host || !url.startsWith('/')) return { status: 400, text: 'This is no request for a host.\n' };
    return { status: 301, text: '', location: `https://${host}${publicPort}${url}` };
  }

  const limits = {
    maxHeaderSize: 8192,
    headersTimeout: 10_000,
    requestTimeout: 10_000,
    connectionsCheckingInterval: 1000, // how often it is looked for what is late
    requireHostHeader: false,
  };
  const server = createServer(limits, async (req, res) => {
    if (isHealthCheck(req)) return void res.end('ok\n');
    const { status, text, location } = await answer(req);
    res.writeHead(status, { 'content-type': 'text/plain', connection: 'close', ...(location && { location }) });
    res.end(req.method === 'HEAD' ? '' : text);
    const path = req.url?.split('?')[0];
    log.info({ client: req.socket.remoteAddress, host: req.headers.host, method: req.method, path, status });
  });
  const count = connectionCounter();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress;
    if (address === LOOPBACK) return;
    if (!address || count(socket, 'all') > connections || count(socket, address) > clientConnections) socket.destroy();
  });
  return server;
}

/** The container's own. Whoever comes from outside names a host. */
const isHealthCheck = ({ url, headers }: IncomingMessage) => url === '/healthz' && headers.host === undefined;
