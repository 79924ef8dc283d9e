import { once } from 'node:events';
import { request as overHttp, type IncomingMessage } from 'node:http';
import { request as overHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

export type CallOptions = {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  body?: unknown;
  /** Sent as X-Request-Id, so that one id runs through the logs of all services. */
  requestId: string;
  signal?: AbortSignal;
};

export type ClientOptions = {
  /** Gives the access token that a call is made with; another one than the one that was refused. */
  token?: ((refused?: string) => Promise<string>) | undefined;
  timeoutMs?: number;
  longestPauseMs?: number;
};

/** A service answered with an error, or not at all within the tries. */
export class CallError extends Error {
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

const TRIES = 6;
/** Answers that say: not now (RFC 9110, 15.5.9 and 15.6). */
const PASSING = new Set([408, 425, 429, 502, 503, 504]);

/**
 * Calls between services. A call that found nobody, or was asked to come back, is tried again for about 10 s, which
 * outlasts a deploy: use it for calls that may happen twice.
 */
export function createClient(
  baseUrl: string,
  { token, timeoutMs = 10_000, longestPauseMs = 5000 }: ClientOptions = {},
) {
  return async function call(path: string, options: CallOptions): Promise<unknown> {
    let refused: string | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const bearer = await token?.(refused).catch((error: Error) => error);
      const outcome = await attemptCall(new URL(path, baseUrl), options, bearer, timeoutMs);
      if ('value' in outcome) return outcome.value;
      options.signal?.throwIfAborted();
      if (outcome.error.status === 401 && typeof bearer === 'string' && !refused && attempt < TRIES) {
        refused = bearer; // it may have been withdrawn
        continue;
      }
      const passing = outcome.error.status === undefined || PASSING.has(outcome.error.status);
      if (attempt === TRIES || !passing) throw outcome.error;
      const pauseMs = Math.max(outcome.retryAfterMs, 150 * 2 ** attempt);
      await delay(Math.min(pauseMs, longestPauseMs), undefined, { signal: options.signal });
    }
  };
}

/** With `node:http`: `fetch` and signals that time out make so much garbage that a job of 5,000 calls takes 100 MB more. */
async function attemptCall(
  url: URL,
  { method = 'GET', body, requestId, signal }: CallOptions,
  bearer: string | Error | undefined,
  timeoutMs: number,
) {
  const failed = (reason: string, status?: number) =>
    new CallError(`${method} ${url.pathname} of ${url.host}: ${reason}`, status);
  if (bearer instanceof Error) return { error: failed(bearer.message), retryAfterMs: 0 };
  const headers = {
    ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
    'x-request-id': requestId,
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const open = url.protocol === 'https:' ? overHttps : overHttp;
  const request = open(url, { method, headers, signal });
  request.on('error', () => undefined); // what goes wrong once the answer has begun, its reader hears too
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    request.destroy();
  }, timeoutMs);
  try {
    request.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const answer = await text(response);
    const status = response.statusCode!;
    if (status >= 200 && status < 300) return { value: answer ? (JSON.parse(answer) as unknown) : undefined };
    const reason = detailOf(answer) ?? response.statusMessage;
    const retryAfterMs = Number(response.headers['retry-after'] ?? 0) * 1000 || 0;
    return { error: failed(`${status} ${reason}`, status), retryAfterMs };
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    return { error: failed(late ? `no answer within ${timeoutMs / 1000} s` : (code ?? message)), retryAfterMs: 0 };
  } finally {
    clearTimeout(timer);
  }
}

function detailOf(problem: string): string | undefined {
  try {
    return (JSON.parse(problem) as { detail?: string }).detail;
  } catch {
    return undefined;
  }
}
