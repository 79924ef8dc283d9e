import { setTimeout as delay } from 'node:timers/promises';
import { exchange, NoAnswer } from './exchange.ts';
import { readLedger, type Entry, type Write } from './ledger.ts';
import { recognize, WORKERS, type Page, type Worker } from './person.ts';
import { originOf, type Target } from './target.ts';
import { tokensFrom } from './token.ts';

export type VerifyOptions = Target & {
  ledger: string;
  /** Milliseconds since 1970: the moment of a disaster, from which the age of what is lost and of what is left counts. */
  instant?: number | undefined;
};

export type Lost = { write: Write; n: number; id: string; version: number; at: string; now: string };

export type Verdict = {
  run: string;
  acknowledged: number;
  /** Writes whose answer never came: whether they happened or not, it is right. */
  unknown: number;
  /** Acknowledged writes that are not there, or were reverted. */
  lost: { count: number; writes: Record<Write, number>; first: Lost[] };
  /** What is there and nobody has written. */
  strange: { count: number; first: string[] };
  /** Milliseconds from the answer to the instant: negative for what was acknowledged later. Null where there is none. */
  beforeInstant?: { oldestLost: number | null; youngestSurviving: number | null };
};

const SAMPLES = 20;
const TIMEOUT_MS = 30_000;
const PATIENCE_MS = 10_000;

/** Reads everything that the run left, page by page, and compares it with the ledger. */
export async function verify({ ledger, instant, ...target }: VerifyOptions): Promise<Verdict> {
  const { run, entries } = readLedger(ledger);
  return compare(run, entries, await readAll(target, run), instant);
}

async function readAll(target: Target, run: string): Promise<Worker[]> {
  const origin = originOf(target);
  const tokens = await tokensFrom(target.tokenCommand);
  const agent = origin.agent(true);
  const all: Worker[] = [];
  try {
    for (let cursor: string | null = ''; cursor !== null;) {
      const query = new URLSearchParams({ role: run, limit: '200', ...(cursor ? { cursor } : {}) });
      const page: Page = JSON.parse(await read(`${WORKERS}?${query}`));
      all.push(...page.items);
      cursor = page.nextCursor;
    }
    return all;
  } finally {
    tokens.close();
    agent.destroy();
  }

  /** What it reads is the point here, not how well: a proxy that asks for patience gets it. */
  async function read(path: string): Promise<string> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const sent = { method: 'GET', path, headers: tokens.headers() };
      const call = { origin, agent, sent, slow: undefined, slowMs: 0, timeoutMs: TIMEOUT_MS, opened: () => undefined };
      const answer = await exchange(call).catch((error: NoAnswer) => {
        throw new Error(`GET ${path}: ${error.kind}: ${error.message}`, { cause: error });
      });
      if (answer.status === 200) return answer.text;
      if (answer.status !== 429 || Date.now() > deadline)
        throw new Error(`GET ${path} answered ${answer.status}: ${answer.text.slice(0, 300)}`);
      await delay(500);
    }
  }
}

/** A worker that is missing is as one whose deletion was acknowledged: nobody can see that its creation was lost too. */
export function compare(run: string, entries: Entry[], found: Worker[], instant?: number): Verdict {
  const byNumber = Map.groupBy(entries, ({ n }) => n);
  const strange: string[] = [];
  const present = new Map<number, { version: number; worker: Worker }>();
  for (const worker of found) {
    const seen = recognize(run, worker);
    if (!seen) strange.push(`nobody has written ${JSON.stringify(worker)}`);
    else if (present.has(seen.n)) strange.push(`worker ${seen.n} is there twice`);
    else if (!byNumber.has(seen.n)) strange.push(`nobody has created worker ${seen.n}`);
    else present.set(seen.n, { version: seen.version, worker });
  }

  const lost: Lost[] = [];
  let oldestLost = Infinity;
  let youngestSurviving = -Infinity;
  for (const [n, writes] of byNumber) {
    const acknowledged = writes.filter((entry) => entry.acknowledged);
    const open = writes.find((entry) => !entry.acknowledged);
    const there = present.get(n);
    const gone = acknowledged.some(({ write }) => write === 'delete');
    if (!there && (gone || open?.write === 'delete')) continue;
    if (there) {
      const fault = strangeness(there, writes);
      if (fault) strange.push(`worker ${n} ${fault}`);
    }
    for (const { at, write, id, version } of acknowledged) {
      const survives = there !== undefined && write !== 'delete' && version <= there.version;
      if (survives) {
        youngestSurviving = Math.max(youngestSurviving, at);
        continue;
      }
      oldestLost = Math.min(oldestLost, at);
      const now = there ? `it is there in version ${there.version}` : 'it is not there';
      lost.push({ write, n, id: id!, version, at: new Date(at).toISOString(), now });
    }
  }

  const count = (write: Write) => lost.filter((one) => one.write === write).length;
  const acknowledged = entries.filter((entry) => entry.acknowledged).length;
  const age = (at: number) => (instant !== undefined && Number.isFinite(at) ? instant - at : null);
  return {
    run,
    acknowledged,
    unknown: entries.length - acknowledged,
    lost: {
      count: lost.length,
      writes: { create: count('create'), change: count('change'), delete: count('delete') },
      first: lost.toSorted((a, b) => a.at.localeCompare(b.at)).slice(0, SAMPLES),
    },
    strange: { count: strange.length, first: strange.slice(0, SAMPLES) },
    ...(instant === undefined
      ? {}
      : { beforeInstant: { oldestLost: age(oldestLost), youngestSurviving: age(youngestSurviving) } }),
  };
}

function strangeness({ version, worker }: { version: number; worker: Worker }, writes: Entry[]): string | undefined {
  const made = writes.find((entry) => entry.write !== 'delete' && entry.version === version);
  if (!made) return `is there in version ${version}, which nobody has written`;
  if (made.id !== undefined && made.id !== worker.id) return `has the id ${worker.id} instead of ${made.id}`;
  if (made.updatedAt !== undefined && made.updatedAt !== worker.updatedAt)
    return `was changed at ${worker.updatedAt} instead of ${made.updatedAt}`;
  return undefined;
}
