import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import http, { type IncomingMessage, type Server } from 'node:http';
import { pipeline, type Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@keelson/logger';
import express, { type ErrorRequestHandler, type RequestHandler, type Response } from 'express';
import send from 'send';
import { NO_PAGE, refuseUnreadable, SAFE_HEADERS, sendProblem } from './gateway-problems.ts';

export type Api = {
  name: string;
  /** Path prefixes that belong to it: `/api/v1/workers` is also `/api/v1/workers/7`, but not `/api/v1/workersx`. */
  routes: string[];
  /** Where it listens: `http://127.0.0.1:3001`. */
  origin: string;
};

export type GatewayOptions = {
  apis: Api[];
  /** What an API answers with `X-Accel-Redirect: /media/...` is sent from here. */
  mediaDir: string;
  consoleDir: string;
  log: Logger;
  /** How long an API may take to begin its answer. */
  answerWithinMs?: number;
};

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
/** A path that could mean one thing here and another in a service. */
const AMBIGUOUS_PATH = /^[^?]*(\/\.\.?([/?]|$)|%2e|%2f|%5c)/i;
/** A name or an address, and a port. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d*)?$/i;
const LONGEST_ADDRESS = 8192;
const BODY_LIMIT = 1024 * 1024;
const TIMEOUTS = {
  keepAliveTimeout: 60_000,
  headersTimeout: 15_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 1000,
};
/** A service that reloads is away for a moment. */
const RESTART_MS = 2000;
const CATALOG = '/.well-known/api-catalog';
const CATALOG_HEADERS = {
  'Cache-Control': 'no-cache',
  'Content-Security-Policy': NO_PAGE,
  'Content-Type': 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"',
  Link: `<${CATALOG}>; rel="api-catalog"`,
};
const HOP_BY_HOP = ['connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'proxy-connection'];
const NOT_FORWARDED = [...HOP_BY_HOP, 'expect', 'forwarded', 'x-real-ip'];
const KEPT_FOR_MEDIA = ['content-type', 'content-disposition', 'cache-control', 'expires', 'set-cookie'];
const CONSOLE_HEADERS = {
  'Cache-Control': 'no-cache',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
};

/**
 * Stands in for nginx where there is none: to a client, the same routes, headers and errors,
 * and the same limits but that of the rate. Never listens.
 */
export function createGateway(options: GatewayOptions): Server {
  const app = express();
  const refused = new WeakSet<Duplex>();
  app.disable('x-powered-by').enable('case sensitive routing');
  app.use(requestLog(options.log), refuseMalformed(refused));
  app.all('/healthz', (_req, res) => void res.type('text/plain').send('ok\n'));
  for (const api of options.apis) app.use([...api.routes, descriptionPath(api)], forward(api, options));
  app.all(CATALOG, catalog(options.apis));
  app.use(consoleFiles(options.consoleDir));
  app.use((_req, res) => sendProblem(res, 404));
  app.use(toProblem(options.log));
  return http
    .createServer(TIMEOUTS, app)
    .on('clientError', (error, socket) => refused.has(socket) || refuseUnreadable(error, socket, options.log))
    .on('connect', (_req, socket) => refuseUnreadable(new Error('this is no tunnel'), socket, options.log));
}

function requestLog(log: Logger): RequestHandler {
  return (req, res, next) => {
    const given = req.headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    const { method } = req;
    const path = req.originalUrl.split('?')[0];
    const begin = performance.now();
    res.locals['requestId'] = requestId;
    res.set({ 'X-Request-Id': requestId, ...SAFE_HEADERS });
    res.on('close', () => {
      const status = res.writableFinished ? res.statusCode : 499;
      const ms = Math.round(performance.now() - begin);
      if (path !== '/healthz') log.info({ requestId, method, path, status, ms }, `${method} ${path} ${status}`);
    });
    next();
  };
}

const refuseMalformed =
  (refused: WeakSet<Duplex>): RequestHandler =>
  (req, res, next) => {
    const status = faultOf(req);
    if (!status) return next();
    // Where a request is not what it seems, nobody knows where the next one begins.
    refused.add(req.socket);
    sendProblem(res, status, { Connection: 'close' });
  };

/** The status of what Node's parser lets through, and nginx does not. */
function faultOf({ url = '', httpVersion, headersDistinct }: IncomingMessage): number | undefined {
  const { host = [], 'transfer-encoding': codings = [] } = headersDistinct;
  if (!['1.0', '1.1'].includes(httpVersion)) return 505;
  if (codings.some((coding) => coding.toLowerCase() !== 'chunked')) return 501;
  if (host.length > 1 || !host.every((name) => HOST.test(name))) return 400;
  if (url.length > LONGEST_ADDRESS) return 414;
  return url.startsWith('/') && !AMBIGUOUS_PATH.test(url) ? undefined : 400;
}

function forward(api: Api, { mediaDir, log, answerWithinMs = 30_000 }: GatewayOptions): RequestHandler {
  return (req, res, next) => {
    if (Number(req.headers['content-length'] ?? 0) > BODY_LIMIT) return sendProblem(res, 413);
    const hasBody = 'content-length' in req.headers || 'transfer-encoding' in req.headers;
    const lastTry = Date.now() + RESTART_MS;
    attempt();

    function attempt() {
      const upstream = http.request(api.origin, {
        method: req.method,
        path: req.originalUrl,
        headers: forwardedHeaders(req, res),
        agent: false,
        timeout: answerWithinMs,
      });
      const abort = () => giveUp(req, upstream);
      res.on('close', abort);
      if (hasBody) upstream.on('socket', (socket) => socket.once('connect', () => sendBody(req, res, upstream)));
      else upstream.end();

      upstream.on('response', (answer) => {
        const file = answer.headers['x-accel-redirect'];
        if (typeof file === 'string') sendMedia(answer, file, mediaDir, req, res, next);
        else passOn(answer, res);
      });
      upstream.on('timeout', () => {
        if (!res.headersSent) upstream.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }));
      });
      upstream.on('error', async (error: NodeJS.ErrnoException) => {
        res.off('close', abort);
        if (res.headersSent || res.closed) return;
        if (error.code === 'ECONNREFUSED' && Date.now() < lastTry) {
          await delay(100);
          if (!res.closed) attempt();
          return;
        }
        giveUp(req, upstream);
        log.warn({ requestId: res.locals['requestId'], api: api.name, reason: error.message }, 'no answer');
        sendProblem(res, error.code === 'ETIMEDOUT' ? 504 : 502, { 'Retry-After': '2' });
      });
    }
  };
}

/** What a service hears about its client is what the gateway sees, whatever the client claims. */
function forwardedHeaders(req: IncomingMessage, res: Response): http.OutgoingHttpHeaders {
  const sent = Object.entries(req.headersDistinct).filter(
    ([name]) => !NOT_FORWARDED.includes(name) && !name.startsWith('x-forwarded-'),
  );
  const host = req.headers.host ?? 'localhost';
  return {
    ...Object.fromEntries(sent),
    host,
    // A service told to close may end the connection under a body that it does not want, and its answer is lost.
    connection: 'keep-alive',
    'x-request-id': res.locals['requestId'],
    'x-forwarded-for': req.socket.remoteAddress?.replace(/^::ffff:/, ''),
    'x-forwarded-proto': 'http',
    'x-forwarded-host': host,
  };
}

function sendBody(req: IncomingMessage, res: Response, upstream: http.ClientRequest) {
  let bytes = 0;
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= BODY_LIMIT || res.headersSent) return;
    sendProblem(res, 413);
    giveUp(req, upstream);
  });
  req.pipe(upstream);
}

/** What is left of the body must still be read, or it stands in the way of the client's next request. */
function giveUp(req: IncomingMessage, upstream: http.ClientRequest) {
  req.unpipe(upstream).resume();
  upstream.destroy();
}

function passOn(answer: IncomingMessage, res: Response) {
  copyHeaders(answer, res, (name) => !HOP_BY_HOP.includes(name) && name !== 'transfer-encoding');
  res.status(answer.statusCode!);
  pipeline(answer, res, () => {});
}

function sendMedia(
  answer: IncomingMessage,
  path: string,
  mediaDir: string,
  ...[req, res, next]: Parameters<RequestHandler>
) {
  answer.resume();
  if (!path.startsWith('/media/')) return sendProblem(res, 404);
  copyHeaders(answer, res, (name) => KEPT_FOR_MEDIA.includes(name));
  res.set('Content-Security-Policy', `${NO_PAGE}; sandbox`);
  send(req, path.slice('/media'.length), { root: mediaDir, cacheControl: false, index: false })
    .on('error', next)
    .on('directory', () => sendProblem(res, 404))
    .pipe(res);
}

/** Those that the gateway has set already are its own. */
function copyHeaders(answer: IncomingMessage, res: Response, wanted: (name: string) => boolean) {
  for (const [name, values = []] of Object.entries(answer.headersDistinct))
    if (wanted(name) && !res.hasHeader(name)) res.setHeader(name, values.length === 1 ? values[0]! : values);
}

/** Where an API answers its OpenAPI document, as the files in proxy/services have it. */
const descriptionPath = ({ name }: Api) => `/api/v1/openapi/${name}.json`;

/** RFC 9727: where the APIs describe themselves. */
function catalog(apis: Api[]): RequestHandler {
  const links = apis.map((api) => ({ href: descriptionPath(api), type: 'application/json', title: api.name }));
  const body = Buffer.from(JSON.stringify({ linkset: [{ anchor: '/api/v1/', 'service-desc': links }] }));
  return (req, res) => {
    if (['GET', 'HEAD'].includes(req.method)) res.set(CATALOG_HEADERS).send(body);
    else sendProblem(res, 405, { Allow: 'GET, HEAD' });
  };
}

function consoleFiles(consoleDir: string): RequestHandler {
  const pages = new Set(['/', ...readdirSync(consoleDir).map((name) => `/${name}`)]);
  const readFile = express.static(consoleDir, {
    redirect: false,
    setHeaders: (res) => void res.setHeaders(new Map(Object.entries(CONSOLE_HEADERS))),
  });
  return (req, res, next) => {
    if (['GET', 'HEAD'].includes(req.method) || !pages.has(req.path)) readFile(req, res, next);
    else sendProblem(res, 405, { Allow: 'GET, HEAD' });
  };
}

function toProblem(log: Logger): ErrorRequestHandler {
  return (error, _req, res, _next) => {
    if (res.headersSent) return void res.destroy();
    const status = error.status === 403 ? 404 : (error.status ?? 500);
    if (status === 500) log.error({ requestId: res.locals['requestId'], err: error }, 'request failed');
    sendProblem(res, status, error.headers);
  };
}
