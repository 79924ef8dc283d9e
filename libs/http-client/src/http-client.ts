import { setTimeout as delay } from 'node:timers/promises';

export type CallOptions = {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  body?: unknown;
  /** Sent as X-Request-Id, so that one id runs through the logs of all services. */
  requestId: string;
  signal?: AbortSignal;
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
const TIMEOUT_MS = 10_000;
/** Answers that say: not now (RFC 9110, 15.5.9 and 15.6). */
const PASSING = new Set([408, 425, 429, 502, 503, 504]);

/**
 * Calls between services. A call that found nobody, or was asked to come back, is tried again for about 10 s, which
 * outlasts a deploy: use it for calls that may happen twice.
 */
export function createClient(baseUrl: string) {
  return async function call(path: string, options: CallOptions): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await once(new URL(path, baseUrl), options);
      if ('value' in outcome) return outcome.value;
      options.signal?.throwIfAborted();
      const passing = outcome.error.status === undefined || PASSING.has(outcome.error.status);
      if (attempt === TRIES || !passing) throw outcome.error;
      await delay(Math.max(outcome.retryAfterMs, 150 * 2 ** attempt), undefined, { signal: options.signal });
    }
  };
}

async function once(url: URL, { method = 'GET', body, requestId, signal }: CallOptions) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const failed = (reason: string, status?: number) =>
    new CallError(`${method} ${url.pathname} of ${url.host}: ${reason}`, status);
  try {
    const response = await fetch(url, {
      method,
      headers: {
        'x-request-id': requestId,
        accept: 'application/json',
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    if (response.ok) return { value: response.status === 204 ? undefined : await response.json() };
    const { detail } = (await response.json().catch(() => ({}))) as { detail?: string };
    const retryAfterMs = Number(response.headers.get('retry-after') ?? 0) * 1000 || 0;
    return { error: failed(`${response.status} ${detail ?? response.statusText}`, response.status), retryAfterMs };
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } };
    return { error: failed(cause?.code ?? message), retryAfterMs: 0 };
  }
}
