import type { Answer, Sent, Slow } from './exchange.ts';
import { contradiction, type Knowledge, type Known } from './known.ts';
import { person, recognize, WORKERS, type Page, type Worker } from './person.ts';

/** A request that is about to be sent, and what its answer must be. */
export type Attempt = {
  sent: Sent;
  /** @returns what is wrong with the answer, if anything is */
  check: (answer: Answer) => string | undefined;
  /** There was no answer, or a wrong one. */
  failed?: () => void;
};

export type Operation = {
  name: string;
  /** Of 1000 requests. */
  share: number;
  write?: boolean;
  slow?: Slow;
  begin: () => Attempt;
};

/** Keyed creates that may be repeated. */
const REMEMBERED_KEYS = 500;

/** What the clients ask for: 80% reads, 20% writes. */
export function operationsOf(knowledge: Knowledge): Operation[] {
  const { run } = knowledge;
  let cursor: string | null = null;
  const keyed: { n: number; key: string; text: string }[] = [];

  const list = (query: string, limit: number, keepCursor = false): Attempt => ({
    sent: get(`${WORKERS}?${query}&limit=${limit}`),
    check(answer) {
      const page = parsed<Page>(answer, 200);
      if (typeof page === 'string') return page;
      if (keepCursor) cursor = page.nextCursor;
      return pageFault(run, page, limit, new URLSearchParams(query).get('role'));
    },
  });

  const nextPage = () => list(cursor ? `sort=name&cursor=${encodeURIComponent(cursor)}` : 'sort=name', 20, true);

  const firstPage = () => list('sort=id', 20);

  function readOne(ifNoneMatch: boolean): Attempt {
    const known = knowledge.any();
    if (!known) return firstPage();
    const from = known.version;
    const headers: Record<string, string> = ifNoneMatch ? { 'If-None-Match': `"${from}"` } : {};
    return {
      sent: get(`${WORKERS}/${known.id}`, headers),
      check(answer) {
        if (answer.status === 404 && (known.deleted || known.open === 'delete')) return undefined;
        if (answer.status === 304 && ifNoneMatch) return undefined;
        const worker = parsed<Worker>(answer, 200);
        if (typeof worker === 'string') return worker;
        const { etag } = answer.headers;
        if (ifNoneMatch && etag === headers['If-None-Match']) return `was sent in spite of If-None-Match: ${etag}`;
        return contradiction(run, known, from, worker, etag);
      },
    };
  }

  function create(key?: 'key'): Attempt {
    const n = knowledge.nextNumber();
    const keys: Record<string, string> = key ? { 'Idempotency-Key': `${run}-${n}` } : {};
    return {
      sent: { method: 'POST', path: WORKERS, headers: keys, body: JSON.stringify(person(run, n, 1)) },
      check(answer) {
        const worker = parsed<Worker>(answer, 201);
        if (typeof worker === 'string') return worker;
        const fault = writtenFault(answer, worker, run, n, 1);
        if (fault) return fault;
        if (answer.headers.location !== `${WORKERS}/${worker.id}`) return `has the Location ${answer.headers.location}`;
        knowledge.created(n, worker);
        if (key) keyed.push({ n, key: `${run}-${n}`, text: answer.text });
        if (keyed.length > REMEMBERED_KEYS) keyed.shift();
        return undefined;
      },
      failed: () => knowledge.unanswered('create', n),
    };
  }

  /** A create that was acknowledged, once more: it gets its first answer again, whatever has become of the worker. */
  function repeat(): Attempt {
    const first = keyed[Math.floor(Math.random() * keyed.length)];
    if (!first) return create('key');
    const body = JSON.stringify(person(run, first.n, 1));
    return {
      sent: { method: 'POST', path: WORKERS, headers: { 'Idempotency-Key': first.key }, body },
      check({ status, headers, text }) {
        if (status !== 201) return unexpected(status, text);
        if (headers['idempotency-replayed'] !== 'true') return 'was not the answer of the first request with its key';
        return text === first.text ? undefined : `differs from the first answer to its key: ${text}`;
      },
    };
  }

  function change(): Attempt {
    const known = knowledge.free('change');
    if (!known) return create();
    const version = known.version + 1;
    const body = JSON.stringify({ name: person(run, known.n, version).name });
    return {
      sent: { method: 'PATCH', path: `${WORKERS}/${known.id}`, headers: ifMatch(known), body },
      check(answer) {
        const worker = parsed<Worker>(answer, 200);
        if (typeof worker === 'string') return worker;
        const fault = writtenFault(answer, worker, run, known.n, version);
        if (!fault) knowledge.changed(known, worker);
        return fault;
      },
      failed: () => knowledge.unanswered('change', known.n, known),
    };
  }

  function remove(): Attempt {
    const known = knowledge.free('delete');
    if (!known) return create();
    return {
      sent: { method: 'DELETE', path: `${WORKERS}/${known.id}`, headers: ifMatch(known) },
      check({ status, text }) {
        if (status !== 204) return unexpected(status, text);
        knowledge.deleted(known);
        return undefined;
      },
      failed: () => knowledge.unanswered('delete', known.n, known),
    };
  }

  return [
    { name: 'list', share: 240, begin: firstPage },
    { name: 'list sorted', share: 80, begin: () => list('sort=-hiredOn', 20) },
    { name: 'list a role', share: 80, begin: () => list('role=engineer', 20) },
    { name: 'list the next page', share: 80, begin: nextPage },
    { name: 'search', share: 40, begin: () => list('search=Lovelace', 20) },
    { name: 'list long', share: 30, slow: 'read', begin: () => list(`role=${run}`, 200) },
    { name: 'read', share: 150, begin: () => readOne(false) },
    { name: 'read if changed', share: 100, begin: () => readOne(true) },
    { name: 'create', share: 50, write: true, begin: () => create() },
    { name: 'create slowly', share: 15, write: true, slow: 'write', begin: () => create() },
    { name: 'create with a key', share: 20, write: true, begin: () => create('key') },
    { name: 'create again', share: 10, write: true, begin: repeat },
    { name: 'change', share: 50, write: true, begin: change },
    { name: 'change slowly', share: 15, write: true, slow: 'write', begin: change },
    { name: 'delete', share: 40, write: true, begin: remove },
  ];
}

/** Each operation as often as its share says, and as evenly as can be. */
export function inShares(operations: Operation[]): () => Operation {
  const total = operations.reduce((sum, { share }) => sum + share, 0);
  const turns = operations.map((operation) => ({ operation, credit: 0 }));
  return () => {
    for (const turn of turns) turn.credit += turn.operation.share;
    const next = turns.reduce((best, turn) => (turn.credit > best.credit ? turn : best));
    next.credit -= total;
    return next.operation;
  };
}

const get = (path: string, headers: Record<string, string> = {}): Sent => ({ method: 'GET', path, headers });
const ifMatch = ({ version }: Known) => ({ 'If-Match': `"${version}"` });
const unexpected = (status: number, text: string) => `status ${status}: ${text.slice(0, 300)}`;

/** The body, or what is wrong with the answer. */
function parsed<T extends object>({ status, text }: Answer, expected: number): T | string {
  if (status !== expected) return unexpected(status, text);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as T;
  } catch {
    // said below
  }
  return `is no JSON object: ${text.slice(0, 300)}`;
}

function writtenFault(answer: Answer, worker: Worker, run: string, n: number, version: number) {
  const seen = recognize(run, worker);
  if (seen?.n !== n || seen.version !== version) return `says that something else was written: ${answer.text}`;
  return answer.headers.etag === `"${version}"` ? undefined : `has the ETag ${answer.headers.etag}`;
}

function pageFault(run: string, { items, nextCursor }: Page, limit: number, role: string | null) {
  if (!Array.isArray(items) || nextCursor === undefined || items.some((item) => typeof item?.id !== 'string'))
    return `is no page: ${JSON.stringify({ items, nextCursor }).slice(0, 300)}`;
  if (items.length > limit) return `has ${items.length} items, although ${limit} were asked for`;
  const stranger = items.find((item) => role !== null && item.role !== role);
  if (stranger) return `has an item of another role: ${JSON.stringify(stranger)}`;
  const wrong = items.find((item) => item.role === run && !recognize(run, item));
  return wrong && `has a worker that nobody has written: ${JSON.stringify(wrong)}`;
}
