import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from '@keelson/logger';
import type { Response } from 'express';

/** On every answer; a service's own are replaced. */
export const SAFE_HEADERS = { 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer' };
export const NO_PAGE = "default-src 'none'; frame-ancestors 'none'";

const DETAILS: Record<number, string> = {
  400: 'The request is malformed.',
  404: 'There is nothing at this address.',
  405: 'This address can only be read.',
  408: 'The request took too long to arrive.',
  412: 'A precondition of the request does not hold.',
  413: 'The request body is larger than allowed.',
  414: 'The address is longer than allowed.',
  416: 'The file has no such range.',
  431: 'The request headers are larger than allowed.',
  501: 'The request has a body in a coding that is not known here.',
  502: 'The service behind this address cannot be reached. Try again in a moment.',
  504: 'The service behind this address did not answer in time.',
  505: 'This version of HTTP is not spoken here.',
};

/** One of the gateway's own errors, as RFC 9457 has them. */
export function sendProblem(res: Response, status: number, headers: Record<string, string> = {}) {
  const requestId: string = res.locals['requestId'];
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  res.status(status).set({ ...problemHeaders(requestId), ...headers });
  res.end(body(status, requestId));
}

/** Answers what Node could not read as a request. */
export function refuseUnreadable({ code = '' }: NodeJS.ErrnoException, socket: Duplex, log: Logger) {
  if (!socket.writable) return void socket.destroy();
  const statuses: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };
  const status = statuses[code] ?? 400;
  const requestId = randomUUID();
  log.info({ requestId, status, code }, `what is no request ${status}`);
  const text = body(status, requestId);
  const headers = { ...problemHeaders(requestId), 'Content-Length': Buffer.byteLength(text), Connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`);
}

const problemHeaders = (requestId: string) => ({
  'Content-Type': 'application/problem+json',
  'Content-Security-Policy': NO_PAGE,
  'X-Request-Id': requestId,
  ...SAFE_HEADERS,
});

const body = (status: number, requestId: string) =>
  JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: DETAILS[status] ?? 'The request could not be served.',
    requestId,
  });
