import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { WORKERS, type Worker } from './person.ts';

/** What it does instead of what it should. */
export type Misbehaviour =
  | { does: 'answer'; status: number }
  | { does: 'reset' | 'hang' | 'cut short' | 'lose' | 'forget' | 'revert' | 'send rubbish' };
type Asked = { method: string; path: string; first: boolean };
type Row = Worker & { version: number };

/** The API for workers in memory, for the tests of the load: it can be told to misbehave. */
export async function toyRoster({ tls }: { tls?: { key: Buffer; cert: Buffer } } = {}) {
  const rows = new Map<string, Row>();
  const originals = new Map<string, Row>();
  const answers = new Map<string, { headers: Record<string, string>; row: object }>();
  const seen = {
    requests: 0,
    hosts: new Set<string | undefined>(),
    tokens: new Set<string | undefined>(),
    bodySeconds: [] as number[],
  };
  const used = new WeakSet<object>();
  let misbehaviour: (asked: Asked) => Misbehaviour | undefined = () => undefined;
  let stalled: Promise<unknown> | undefined;

  async function serve(req: IncomingMessage, res: ServerResponse) {
    seen.requests++;
    seen.hosts.add(req.headers.host);
    seen.tokens.add(req.headers.authorization);
    const method = req.method!;
    const first = !used.has(req.socket);
    used.add(req.socket);
    const url = new URL(req.url!, 'http://toy');
    const wrong = misbehaviour({ method, path: url.pathname, first });
    if (wrong?.does === 'hang') return;
    if (wrong?.does === 'reset') return void req.socket.resetAndDestroy();
    if (wrong?.does === 'answer') return send(res, wrong.status, {}, {});
    if (wrong?.does === 'send rubbish') return void res.end('<html>');
    if (wrong?.does === 'cut short') {
      res.writeHead(200, { 'Content-Length': 1000 }).write('{"items": [');
      return void setTimeout(() => req.socket.destroy(), 20);
    }
    await stalled;
    const began = performance.now();
    const text = (await req.toArray()).join('');
    if (text) seen.bodySeconds.push((performance.now() - began) / 1000);
    const body = text ? JSON.parse(text) : undefined;
    const kept = wrong?.does === 'lose' ? new Map(rows) : rows;
    if (url.pathname === WORKERS) return method === 'GET' ? list(url.searchParams, res) : create(req, body, kept, res);
    const id = url.pathname.split('/').at(-1)!;
    const row = wrong?.does === 'revert' ? originals.get(id) : rows.get(id);
    if (!row || wrong?.does === 'forget') return send(res, 404, {}, {});
    if (method === 'GET' && req.headers['if-none-match'] === tag(row)) return void res.writeHead(304).end();
    if (method === 'GET') return send(res, 200, { ETag: tag(row) }, shown(row));
    if (req.headers['if-match'] !== tag(row)) return send(res, 412, {}, {});
    if (method === 'DELETE') {
      kept.delete(row.id);
      return void res.writeHead(204).end();
    }
    const changed = { ...row, ...body, version: row.version + 1, updatedAt: new Date().toISOString() };
    kept.set(row.id, changed);
    send(res, 200, { ETag: tag(changed) }, shown(changed));
  }

  function create(req: IncomingMessage, body: object, kept: Map<string, Row>, res: ServerResponse) {
    const key = req.headers['idempotency-key'] as string | undefined;
    const earlier = key && answers.get(key);
    if (earlier) return send(res, 201, { ...earlier.headers, 'Idempotency-Replayed': 'true' }, earlier.row);
    const now = new Date().toISOString();
    const row = { ...(body as Worker), id: randomUUID(), createdAt: now, updatedAt: now, version: 1 };
    kept.set(row.id, row);
    originals.set(row.id, row);
    const headers = { ETag: tag(row), Location: `${WORKERS}/${row.id}` };
    if (key) answers.set(key, { headers, row: shown(row) });
    send(res, 201, headers, shown(row));
  }

  function list(query: URLSearchParams, res: ServerResponse) {
    const limit = Number(query.get('limit'));
    const from = Number(query.get('cursor') ?? 0);
    const role = query.get('role');
    const found = [...rows.values()].filter((row) => !role || row.role === role);
    const nextCursor = found.length > from + limit ? String(from + limit) : null;
    send(res, 200, {}, { items: found.slice(from, from + limit).map(shown), nextCursor });
  }

  const listener = (req: IncomingMessage, res: ServerResponse) => void serve(req, res);
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http${tls ? 's' : ''}://127.0.0.1:${port}`,
    port,
    rows,
    seen,
    /** Answers nobody until what it returns is called. */
    stall() {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      stalled = promise;
      return () => resolve(undefined);
    },
    misbehave: (how: typeof misbehaviour) => void (misbehaviour = how),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const tag = ({ version }: Row) => `"${version}"`;
const shown = ({ version: _, ...worker }: Row): Worker => worker;

function send(res: ServerResponse, status: number, headers: Record<string, string>, body: object) {
  const text = JSON.stringify(body);
  res.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(text) }).end(text);
}
