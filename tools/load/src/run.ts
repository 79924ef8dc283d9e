import { randomBytes } from 'node:crypto';
import { CLIENTS, clientsOf } from './clients.ts';
import { exchange, NoAnswer, type Answer } from './exchange.ts';
import { createKnowledge } from './known.ts';
import { openLedger } from './ledger.ts';
import { openLoop } from './open-loop.ts';
import { inShares, operationsOf, type Attempt, type Operation } from './operations.ts';
import { createTally, type Report } from './tally.ts';
import { originOf, type Target } from './target.ts';
import { tokensFrom } from './token.ts';

export type RunOptions = Target & {
  /** Requests a second. */
  rate: number;
  /** Where the writes are noted. */
  ledger: string;
  /** Goes on after the signal until so many requests were started. */
  atLeast?: number | undefined;
  /** How long a request may take. */
  timeoutMs?: number | undefined;
  /** How long slow clients take for what they are slow at. */
  slowMs?: number | undefined;
};

/** Said once. */
export const SUCCESS = 'the first request has succeeded';
const TIMEOUT_MS = 10_000;
const SLOW_MS = 2000;
const PROGRESS_MS = 5000;

/** The load, until the signal; then it waits for the answers to what was sent. */
export async function runLoad(options: RunOptions, signal: AbortSignal, say: (line: string) => void): Promise<Report> {
  const { rate, atLeast = 0, timeoutMs = TIMEOUT_MS, slowMs = SLOW_MS } = options;
  const origin = originOf(options);
  const run = `load-${randomBytes(4).toString('hex')}`;
  const tokens = await tokensFrom(options.tokenCommand);
  const ledger = openLedger(options.ledger, run);
  const knowledge = createKnowledge(run, ledger);
  const operations = operationsOf(knowledge);
  const clients = clientsOf(origin);
  const next = inShares(operations);
  const tally = createTally({ operations: operations.map(({ name }) => name), clients: CLIENTS });
  const underWay = new Set<Promise<void>>();
  let number = 0;

  async function ask({ name: operation, write = false, slow, begin }: Operation, due: number) {
    const requestId = `${run}-${++number}`;
    const attempt = begin();
    const { name: client, agent } = clients.next(slow);
    const sent = {
      ...attempt.sent,
      headers: { ...tokens.headers(), ...attempt.sent.headers, 'X-Request-Id': requestId },
    };
    const answered = exchange({ origin, agent, sent, slow, slowMs, timeoutMs, opened: () => tally.opened(client) });
    const { status, failure } = await outcomeOf(answered, attempt);
    if (failure) attempt.failed?.();
    else if (tally.counts.succeeded === 0) say(`${run}: ${SUCCESS}`);
    tally.ended({ due, operation, write, client, slow: Boolean(slow), status, failure, requestId });
  }

  const enough = new AbortController();
  const stopIfEnough = () => {
    if (signal.aborted && number >= atLeast) enough.abort();
  };
  signal.addEventListener('abort', stopIfEnough);
  stopIfEnough();
  const progress = setInterval(() => say(tally.progress()), PROGRESS_MS);
  const begun = performance.now();
  try {
    await openLoop(rate, enough.signal, (due) => {
      tally.started(due);
      const asked: Promise<void> = ask(next(), due).finally(() => underWay.delete(asked));
      underWay.add(asked);
      stopIfEnough();
    });
    const startedFor = (performance.now() - begun) / 1000;
    await Promise.all(underWay);
    const { acknowledged, unknown } = knowledge.counts;
    return tally.report({ run, url: options.url, acknowledged, unknown }, startedFor);
  } finally {
    clearInterval(progress);
    tokens.close();
    clients.close();
    await ledger.close();
  }
}

type Outcome = { status?: number; failure?: { kind: string; what: string } };

/** Every answer but the one that there must be is a failure. */
async function outcomeOf(answered: Promise<Answer>, { sent, check }: Attempt): Promise<Outcome> {
  const failure = (kind: string, what: string) => ({ failure: { kind, what: `${sent.method} ${sent.path}: ${what}` } });
  try {
    const answer = await answered;
    const { status } = answer;
    const fault = check(answer);
    if (fault === undefined) return { status };
    return { status, ...failure(status >= 500 || status === 429 ? `status ${status}` : 'contradiction', fault) };
  } catch (error) {
    if (error instanceof NoAnswer) return failure(error.kind, error.message);
    throw error;
  }
}
