export type Sent = { headers?: Record<string, string>; json?: unknown };

/**
 * For smoke tests: asks a server that runs, and takes one status alone for an answer.
 * @param token which may do all that is asked for
 * @returns what asks it, and gives the JSON of the answer
 * @throws Error that names the request
 */
export function asker(baseUrl: string, token: string) {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each smoke test knows what it asked for
  return async (method: string, path: string, expected: number, { headers = {}, json }: Sent = {}): Promise<any> => {
    const response = await fetch(new URL(path, baseUrl), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...headers,
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (response.status !== expected)
      throw new Error(`${method} ${path} answers ${response.status}, not ${expected}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
}
