import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '@keelson/logger';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { pinoHttp } from 'pino-http';
import { openApiDocument } from './openapi.ts';
import type { Operation } from './operation.ts';
import { Problem, unavailable } from './problem.ts';

export type Service = { service: string; version: string; commit: string };

export type ApiOptions = {
  service: Service;
  log: Logger;
  operations: Operation[];
  /** Operations between services: served here, but neither routed by the proxy nor in the OpenAPI document. */
  internal?: Operation[];
  /** Resolves when the service can do its work; rejects, or resolves to a sentence that says why it cannot. */
  ready: () => Promise<string | undefined>;
  /** Whether an error means that the database is away: the client is asked to come back (503). */
  isUnavailable: (error: unknown) => boolean;
};

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
/** An API's answers are no pages: nothing may run in them or frame them. HSTS is up to the proxy, which has the TLS. */
const API_HEADERS = {
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  strictTransportSecurity: false,
};
const QUIET = new Set(['/healthz', '/readyz']);

/** The edge that every API has: request ids, a log line a request, health, its operations, problems. Never listens. */
export function createApi({ service, log, operations, internal = [], ready, isUnavailable }: ApiOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(requestLog(log), helmet(API_HEADERS), closeWhileDraining);
  health(app, service, ready);
  mount(app, [...operations, ...internal]);
  const document = openApiDocument(service.service, service.version, operations);
  app.get('/api/v1/openapi.json', (_req, res) => void res.json(document));
  app.use((req) => {
    throw new Problem(404, `There is nothing at ${req.path}.`);
  });
  app.use(sendProblem(isUnavailable));
  return app;
}

function requestLog(log: Logger): RequestHandler {
  return pinoHttp({
    logger: log,
    genReqId: (req: IncomingMessage, res: ServerResponse) => {
      const given = req.headers['x-request-id'];
      const id = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
      res.setHeader('X-Request-Id', id);
      return id;
    },
    quietReqLogger: true,
    quietResLogger: true,
    customAttributeKeys: { reqId: 'requestId', responseTime: 'ms' },
    serializers: { req: () => undefined, res: () => undefined },
    customProps: (req, res) => ({ method: req.method, path: req.url, status: res.statusCode }),
    customSuccessMessage: (req, res) => `${req.method} ${req.url} ${res.statusCode}`,
    customErrorMessage: (req, res) => `${req.method} ${req.url} ${res.statusCode}`,
    customLogLevel: (_req, res, error) => (error || res.statusCode >= 500 ? 'error' : 'info'),
    autoLogging: { ignore: (req) => QUIET.has(req.url ?? '') },
  });
}

/** `serve` sets `draining` on SIGTERM: from then on no client should keep its connection. */
const closeWhileDraining: RequestHandler = (req, res, next) => {
  if (req.app.locals['draining']) res.set('Connection', 'close');
  next();
};

function health(app: Express, service: Service, ready: ApiOptions['ready']) {
  app.get('/healthz', (_req, res) => void res.json({ status: 'ok', ...service }));
  app.get('/readyz', async (req, res) => {
    const reason = app.locals['draining'] ? 'is shutting down' : await ready().catch((error: Error) => error.message);
    if (reason) req.log.warn({ reason }, 'not ready');
    res
      .status(reason ? 503 : 200)
      .json({ status: reason ? 'unavailable' : 'ready', ...(reason ? { reason } : {}), ...service });
  });
}

function mount(app: Express, operations: Operation[]) {
  const methods = new Map<string, Set<string>>();
  for (const { method, path, handlers } of operations) {
    const route = path.replaceAll(/\{(\w+)\}/g, ':$1');
    app[method](route, ...handlers);
    const known = methods.get(route) ?? new Set();
    methods.set(route, known.add(method.toUpperCase()).add(method === 'get' ? 'HEAD' : ''));
  }
  for (const [route, known] of methods)
    app.all(route, (req) => {
      const allowed = [...known].filter(Boolean).join(', ');
      throw new Problem(405, `${req.method} is not possible here: ${allowed} are.`, { headers: { Allow: allowed } });
    });
}

function sendProblem(isUnavailable: (error: unknown) => boolean): ErrorRequestHandler {
  return (error, req, res, _next) => {
    const problem = toProblem(error, isUnavailable);
    if (problem.status >= 500) req.log.error({ err: error }, 'request failed');
    if (res.headersSent) return void res.destroy();
    send(res, problem, String(req.id));
  };
}

function send(res: Response, problem: Problem, requestId: string) {
  res.status(problem.status).set(problem.headers).type('application/problem+json');
  res.send(JSON.stringify(problem.body(requestId)));
}

/** Express and its body parser mark what the client did wrong with a 4xx `status`; all else is ours. */
function toProblem(error: unknown, isUnavailable: (error: unknown) => boolean): Problem {
  if (error instanceof Problem) return error;
  if (isUnavailable(error)) return unavailable();
  const { status, type } = error as { status?: unknown; type?: unknown };
  if (typeof status !== 'number' || status < 400 || status > 499) return new Problem(500, 'Internal error');
  if (type === 'entity.parse.failed') return new Problem(400, 'The body is not valid JSON.');
  if (type === 'entity.too.large') return new Problem(413, 'The body is larger than 100 kB.');
  return new Problem(status, error instanceof Error ? error.message : 'The request is not valid.');
}
