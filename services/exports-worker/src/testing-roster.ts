import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export type Worker = { id: string; name: string; role: string; email: string; hiredOn: string };
type Progress = { state: string; rowsDone?: number; bytes?: number; reason?: string };
type Call = {
  path: string;
  authorization: string | undefined;
  cursor: string | null;
  requestId: string | undefined;
  progress: Progress | undefined;
};

/** What exports-worker knows of roster-api: a real server, whose roster and whose failures a test decides. */
export async function createRoster(count: number, worker: (n: number) => Worker) {
  const exports = new Map<string, Progress>();
  const calls: Call[] = [];
  const roster = {
    url: '',
    /** What exports-worker is told of it. */
    settings: () => ({
      ROSTER_API_URL: roster.url,
      AUTH_TOKEN_URL: `${roster.url}/token`,
      AUTH_CLIENT_ID: 'exports-worker',
      AUTH_CLIENT_SECRET: 'secret',
    }),
    exports,
    calls,
    /** Hears every call first; a status it gives is the answer. */
    intercept: (_: Call): Promise<number | undefined> | number | undefined => undefined,
    progress: () => calls.flatMap((call) => call.progress ?? []),
    close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
  };

  async function answer(req: IncomingMessage): Promise<[status: number, body: unknown]> {
    const { pathname, searchParams } = new URL(req.url!, 'http://roster');
    // Here roster-api and identity-api are one.
    if (pathname === '/token') return [200, { access_token: 'the-token', expires_in: 300 }];
    const call: Call = {
      path: pathname,
      authorization: req.headers.authorization,
      cursor: searchParams.get('cursor'),
      requestId: String(req.headers['x-request-id']),
      progress: req.method === 'PATCH' ? ((await json(req)) as Progress) : undefined,
    };
    calls.push(call);
    const status = await roster.intercept(call);
    if (status) return [status, { detail: `The test answers ${status}.` }];
    if (!call.progress) return [200, page(Number(call.cursor), Number(searchParams.get('limit')))];
    const id = pathname.slice('/internal/v1/exports/'.length);
    const known = exports.get(id);
    if (!known) return [404, { detail: 'There is no such export.' }];
    if (known.state === 'queued' || known.state === 'running') exports.set(id, { ...known, ...call.progress });
    return [200, exports.get(id)];
  }

  function page(from: number, limit: number) {
    const to = Math.min(from + limit, count);
    const items = Array.from({ length: to - from }, (_, n) => worker(from + n));
    return { items, nextCursor: to < count ? String(to) : null };
  }

  const server = createServer(async (req, res) => {
    const [status, body] = await answer(req);
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  roster.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return roster;
}
