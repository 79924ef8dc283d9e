import { randomUUID } from 'node:crypto';
import { InvalidToken, type Verifier } from '@keelson/auth';
import type { Logger } from '@keelson/logger';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { z } from 'zod';
import { authorize } from './authorize.ts';
import { descriptionPath, openApiDocument } from './openapi.ts';
import { operation, type Operation } from './operation.ts';
import { Problem, unavailable } from './problem.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** Runs through the logs, jobs and calls that the request causes. */
    id: string;
    /** Every line carries the request's id. */
    log: Logger;
  }
}

export type Service = { service: string; version: string; commit: string; build: string };

export type ApiOptions = {
  service: Service;
  log: Logger;
  operations: Operation[];
  /** Checks access tokens: whatever is not public needs it. */
  verify?: Verifier['verify'];
  /** Operations between services: served here, but neither routed by the proxy nor in the OpenAPI document. */
  internal?: Operation[];
  /** Another address of its OpenAPI document than /api/v1/openapi/<service>.json. */
  alsoDescribedAt?: string;
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
const READS = new Set(['GET', 'HEAD']);
/** As nginx has it: the client went away before it was answered. */
const CLIENT_CLOSED = 499;

/** The edge that every API has: request ids, a log line a request, health, its operations, problems. Never listens. */
export function createApi(options: ApiOptions): Express {
  const { service, log, operations, verify = nobody, internal = [], alsoDescribedAt, ready, isUnavailable } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.use(turnAway(log), requestLog(log), helmet(API_HEADERS));
  health(app, service, ready);
  const describe = (path: string) =>
    operation({
      method: 'get',
      path,
      summary: 'Read this description',
      access: 'public',
      answers: { 200: { description: 'OpenAPI 3.1', schema: z.looseObject({ openapi: z.string() }) } },
      handle: ({ res }) => res.json(document),
    });
  const addresses = [descriptionPath(service.service), ...(alsoDescribedAt ? [alsoDescribedAt] : [])];
  const described = [...operations, ...addresses.map(describe)];
  const document = openApiDocument(service.service, service.version, described);
  mount(app, [...described, ...internal], verify);
  app.locals['reads'] = operations.filter(({ method }) => method === 'get').map(({ path }) => path);
  app.use((req) => {
    throw new Problem(404, `There is nothing at ${req.path}.`);
  });
  app.use(sendProblem(isUnavailable));
  return app;
}

/** Gives each request its id and its logger, and logs it once, when it is over. What a query says is not logged. */
function requestLog(log: Logger): RequestHandler {
  return (req, res, next) => {
    const start = performance.now();
    const { method, url } = req;
    const path = url.split('?')[0]!;
    const given = req.headers['x-request-id'];
    req.id = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    req.log = log.child({ requestId: req.id });
    res.set('X-Request-Id', req.id);
    res.once('close', () => {
      if (QUIET.has(path) || req.app.locals['warming']) return;
      const status = res.headersSent ? res.statusCode : CLIENT_CLOSED;
      const aborted = res.writableFinished ? {} : { aborted: true };
      const line = { method, path, status, ...aborted, ms: Math.round(performance.now() - start) };
      req.log[status >= 500 ? 'error' : 'info'](line, `${method} ${path} ${status}`);
    });
    next();
  };
}

/**
 * `serve` sets `draining` on SIGTERM: from then on no client should keep its connection. A proxy would still open new
 * ones until one fails. So the first read of each that promises, by X-Retry-Reads, to send it to another replica is hung
 * up on: the proxy leaves this one alone for a while, and nothing is on its way when the process stops listening.
 */
function turnAway(log: Logger): RequestHandler {
  const turned = new Set<string | undefined>();
  return (req, res, next) => {
    if (!req.app.locals['draining']) return next();
    const proxy = req.socket.remoteAddress;
    if (req.headers['x-retry-reads'] && READS.has(req.method) && !turned.has(proxy)) {
      turned.add(proxy);
      log.info({ proxy }, 'hanging up on a proxy, so that it turns to another replica');
      return void req.socket.destroy();
    }
    res.set('Connection', 'close');
    next();
  };
}

function health(app: Express, service: Service, ready: ApiOptions['ready']) {
  app.get('/healthz', (_req, res) => void res.json({ status: 'ok', ...service }));
  app.get('/readyz', async (req, res) => {
    const reason = app.locals['draining'] ? 'the service is shutting down' : await ready().catch(reasonOf);
    if (!reason) return void res.json({ status: 'ready', ...service });
    req.log.warn({ reason }, 'not ready');
    res.status(503).json({ status: 'unavailable', reason, ...service });
  });
}

/** Never empty: Node gives a refused connection to several addresses no message, but a code. */
const reasonOf = ({ message, code, name }: Error & { code?: string }) => message || code || name;

/** Without one that checks tokens, none is good. */
const nobody: Verifier['verify'] = () => Promise.reject(new InvalidToken('Access tokens are not taken here.'));

function mount(app: Express, operations: Operation[], verify: Verifier['verify']) {
  const methods = new Map<string, string[]>();
  for (const { method, path, access, handlers } of operations) {
    const route = path.replaceAll(/\{(\w+)\}/g, ':$1');
    app[method](route, authorize(access, verify), ...handlers);
    const names = method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()];
    methods.set(route, [...(methods.get(route) ?? []), ...names]);
  }
  for (const [route, names] of methods)
    app.all(route, (req) => {
      const Allow = names.join(', ');
      throw new Problem(405, `${req.method} is not possible here: ${Allow} are.`, { headers: { Allow } });
    });
}

function sendProblem(isUnavailable: (error: unknown) => boolean): ErrorRequestHandler {
  return (error, req, res, _next) => {
    const problem = toProblem(error, isUnavailable);
    if (problem.status >= 500) req.log.error({ err: error }, 'request failed');
    if (res.headersSent) return void res.destroy();
    res.status(problem.status).set(problem.headers).type('application/problem+json');
    res.send(JSON.stringify(problem.body(req.id)));
  };
}

/** Express and its body parser `expose` what the client did wrong, or throw a URIError for a path; all else is ours. */
function toProblem(error: unknown, isUnavailable: (error: unknown) => boolean): Problem {
  if (error instanceof Problem) return error;
  if (isUnavailable(error)) return unavailable();
  if (error instanceof URIError) return new Problem(400, 'The path is not well percent-encoded.');
  const { status, type, expose, message } = error as { status: number; type: string; expose: boolean; message: string };
  if (expose !== true) return new Problem(500, 'Internal error');
  if (type === 'entity.parse.failed') return new Problem(400, 'The body is not valid JSON.');
  if (type === 'entity.too.large') return new Problem(413, 'The body is larger than 100 kB.');
  return new Problem(status, `The body cannot be read: ${message}.`);
}
