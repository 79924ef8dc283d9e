import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { ClientName } from './clients.ts';

export type Failure = {
  kind: string;
  what: string;
  /** Since the load began. */
  atMs: number;
  operation: string;
  client: ClientName;
  requestId: string;
};

type Count = { requests: number; failed: number };
type Latency = { p50: number; p95: number; p99: number; max: number };

export type Report = {
  run: string;
  url: string;
  began: string;
  seconds: number;
  /** Requests a second that were started. */
  rate: number;
  requests: number;
  succeeded: number;
  failed: number;
  reads: number;
  writes: number;
  acknowledged: { create: number; change: number; delete: number };
  /** Writes whose answer never came, or was wrong: they may have happened or not. */
  unknown: number;
  operations: Record<string, Count>;
  clients: Record<ClientName, Count & { connections: number }>;
  /** Answers by status. */
  status: Record<string, number>;
  failures: { kinds: Record<string, number>; first: Failure[] };
  /** From when a request was due to the end of its answer, in milliseconds; failures included. */
  latency: { quick: Latency; slow: Latency };
  /** The longest time without a success. */
  gap: { ms: number; atMs: number };
  /** What the load cost here: seconds of CPU, the share of one core, memory, and by how much a request started late. */
  cost: { cpuSeconds: number; cores: number; megabytes: number; latestStartMs: number };
};

/** Of each kind of failure. */
const SAMPLES = 5;

export type Done = {
  due: number;
  operation: string;
  write: boolean;
  client: ClientName;
  slow: boolean;
  status?: number | undefined;
  failure?: { kind: string; what: string } | undefined;
  requestId: string;
};

export type Tally = ReturnType<typeof createTally>;

/** Counts, in memory that does not grow with the requests. */
export function createTally(names: { operations: string[]; clients: readonly ClientName[] }) {
  const begun = performance.now();
  const began = new Date().toISOString();
  const cpu = process.cpuUsage();
  const zeros = <T extends object>(keys: readonly string[], zero: () => T) =>
    Object.fromEntries(keys.map((key) => [key, zero()]));
  const operations = zeros(names.operations, () => ({ requests: 0, failed: 0 }));
  const clients = zeros(names.clients, () => ({ requests: 0, failed: 0, connections: 0 }));
  const status: Record<string, number> = {};
  const kinds: Record<string, number> = {};
  const first: Failure[] = [];
  const latency = { quick: createHistogram(), slow: createHistogram() };
  const counts = { started: 0, succeeded: 0, failed: 0, reads: 0, writes: 0 };
  let lastSuccess = begun;
  let gap = { ms: 0, atMs: 0 };
  let latestStartMs = 0;
  let megabytes = 0;

  const since = (from: number) => Math.round(performance.now() - from);
  function success() {
    const ms = since(lastSuccess);
    if (ms > gap.ms) gap = { ms, atMs: Math.round(lastSuccess - begun) };
    lastSuccess = performance.now();
  }
  const measure = () => (megabytes = Math.max(megabytes, Math.round(process.memoryUsage.rss() / 2 ** 20)));

  return {
    started(due: number) {
      counts.started++;
      latestStartMs = Math.max(latestStartMs, performance.now() - due);
    },
    opened: (client: ClientName) => {
      clients[client]!.connections++;
    },
    ended({ due, operation, write, client, slow, status: code, failure, requestId }: Done) {
      latency[slow ? 'slow' : 'quick'].record(Math.max(1, Math.round((performance.now() - due) * 1000)));
      for (const count of [operations[operation]!, clients[client]!]) {
        count.requests++;
        if (failure) count.failed++;
      }
      counts[write ? 'writes' : 'reads']++;
      if (code !== undefined) status[code] = (status[code] ?? 0) + 1;
      counts[failure ? 'failed' : 'succeeded']++;
      if (!failure) return success();
      kinds[failure.kind] = (kinds[failure.kind] ?? 0) + 1;
      if (kinds[failure.kind]! <= SAMPLES)
        first.push({ ...failure, atMs: Math.round(due - begun), operation, client, requestId });
    },
    counts,
    progress() {
      measure();
      const { started, succeeded, failed } = counts;
      const underWay = started - succeeded - failed;
      const worst = Object.entries(kinds).map(([kind, count]) => `${count} ${kind}`);
      const failures = worst.length > 0 ? ` (${worst.join(', ')})` : '';
      const p99 = summary(latency.quick).p99;
      return `${Math.round(since(begun) / 1000)} s: ${started} sent, ${succeeded} succeeded, ${failed} failed${failures}, ${underWay} under way, p99 ${p99} ms`;
    },
    report(rest: Pick<Report, 'run' | 'url' | 'acknowledged' | 'unknown'>, startedFor: number): Report {
      success();
      measure();
      const seconds = (performance.now() - begun) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      const cpuSeconds = (user + system) / 1e6;
      const { run, url, acknowledged, unknown } = rest;
      const { started, succeeded, failed, reads, writes } = counts;
      return {
        run,
        url,
        began,
        seconds: rounded(seconds, 1),
        rate: rounded(started / startedFor, 1),
        requests: started,
        succeeded,
        failed,
        reads,
        writes,
        acknowledged,
        unknown,
        operations,
        clients: clients as Report['clients'],
        status,
        failures: { kinds, first },
        latency: { quick: summary(latency.quick), slow: summary(latency.slow) },
        gap,
        cost: {
          cpuSeconds: rounded(cpuSeconds, 2),
          cores: rounded(cpuSeconds / seconds, 3),
          megabytes,
          latestStartMs: rounded(latestStartMs, 1),
        },
      };
    },
  };
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

function summary(histogram: RecordableHistogram): Latency {
  const ms = (micros: number) => rounded(histogram.count === 0 ? 0 : micros / 1000, 1);
  return {
    p50: ms(histogram.percentile(50)),
    p95: ms(histogram.percentile(95)),
    p99: ms(histogram.percentile(99)),
    max: ms(histogram.max),
  };
}
