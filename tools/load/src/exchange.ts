import type { Agent, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Origin } from './target.ts';

export type Sent = { method: string; path: string; headers: Record<string, string>; body?: string };
export type Answer = { status: number; headers: IncomingHttpHeaders; text: string };
/** What a slow client is slow at. */
export type Slow = 'read' | 'write' | undefined;

/** A slow client takes what it is slow at in so many pieces. */
const PIECES = 8;

/** No whole answer came. Nothing is ever sent again: what a client sees of a closing server is the point. */
export class NoAnswer extends Error {
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

export type Call = {
  origin: Origin;
  agent: Agent;
  sent: Sent;
  slow: Slow;
  /** About how long a slow client takes. */
  slowMs: number;
  timeoutMs: number;
  /** A connection was opened for it. */
  opened: () => void;
};

/** @throws NoAnswer */
export function exchange({ origin, agent, sent, slow, slowMs, timeoutMs, opened }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method, path, headers, body } = sent;
    const request = origin.request({ agent, method, path, headers: { ...headers, ...contentHeaders(body) } });
    let begun = false;
    const fail = (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new NoAnswer(kindOf(error, begun, request.reusedSocket), error.message));
      request.destroy();
    };
    const late = () => fail(Object.assign(new Error(`no answer within ${timeoutMs / 1000} s`), { code: 'TIMEOUT' }));
    const timer = setTimeout(late, timeoutMs);
    request.on('error', fail);
    request.on('socket', () => {
      if (!request.reusedSocket) opened();
    });
    request.on('response', (response) => {
      begun = true;
      const chunks: Buffer[] = [];
      response.on('error', fail);
      response.on('end', () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString() });
        // An answer that comes before the whole request was sent leaves a connection that is of no further use.
        if (!request.writableEnded) request.destroy();
      });
      if (slow === 'read') void readSlowly(response, chunks, slowMs / PIECES);
      else response.on('data', (chunk: Buffer) => chunks.push(chunk));
    });
    if (slow === 'write' && body) void writeSlowly(request, Buffer.from(body), slowMs / PIECES);
    else request.end(body);
  });
}

const contentHeaders = (body: string | undefined): Record<string, string> =>
  body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) };

function kindOf({ code, message }: NodeJS.ErrnoException, begun: boolean, reused: boolean): string {
  if (code === 'TIMEOUT') return 'timeout';
  if (begun) return 'cut short';
  if (code === 'ECONNREFUSED') return 'refused';
  // The server closed a kept connection when a request was on its way, which it must not do.
  if (code === 'ECONNRESET' || code === 'EPIPE') return reused ? 'reset on a kept connection' : 'reset';
  return code ?? message;
}

async function readSlowly(response: IncomingMessage, chunks: Buffer[], pauseMs: number) {
  const piece = Math.ceil(Number(response.headers['content-length'] ?? 32_768) / PIECES);
  while (!response.readableEnded && !response.destroyed) {
    await delay(pauseMs);
    const chunk: Buffer | null = response.read(piece);
    if (chunk) chunks.push(chunk);
  }
}

async function writeSlowly(request: ReturnType<Origin['request']>, body: Buffer, pauseMs: number) {
  const piece = Math.ceil(body.length / PIECES);
  let from = 0;
  for (; from + piece < body.length && !request.destroyed; from += piece) {
    request.write(body.subarray(from, from + piece));
    await delay(pauseMs);
  }
  if (!request.destroyed) request.end(body.subarray(from));
}
