import { cpus, networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { startLoad, verify } from '@keelson/load';
import { expect } from 'vitest';

/** Requests a second. */
const RATE = 300;
/** At least for so long: 10,000 requests at that rate. */
const SECONDS = 100 / 3;
/** What requests may take of all processors, those who ask included: the rest is for what happens meanwhile. */
const SHARE = 0.15;
/** How many requests a second say what one takes, and for how long they do. */
const TRIAL = { rate: 100, warmUpMs: 5000, ms: 10_000 };

/** This machine's own. What comes to the loopback address Docker carries itself, at the cost of as much as a proxy's. */
export const ADDRESS = networkInterfaces()['docker0']?.[0]?.address ?? '127.0.0.1';

/** Where requests go, over TLS to the address `connect`, and the file for all that they were told is written. */
export type Target = { url: string; connect?: string; ca?: string; tokenCommand: string; ledger: string };

/** How many requests a second this machine bears and has time to spare; or LOAD_RATE, whatever it bears. */
export async function bearableRate(target: Target): Promise<number> {
  const { LOAD_RATE } = process.env;
  if (LOAD_RATE) return Number(LOAD_RATE);
  const atRest = await busyShare(TRIAL.ms);
  const load = await startLoad({ ...target, rate: TRIAL.rate });
  await delay(TRIAL.warmUpMs);
  const busy = await busyShare(TRIAL.ms);
  await load.stop();
  const taken = Math.max(0, busy - atRest); // On many processors it may be less than what comes and goes.
  const rate = Math.min(RATE, Math.ceil((TRIAL.rate * SHARE) / taken));
  console.log(`${rate} requests a second: ${TRIAL.rate} take ${Math.round(taken * 100)}% of this machine's processors`);
  return rate;
}

/** Of the time of all processors, for so long from now on. */
async function busyShare(ms: number): Promise<number> {
  const spent = () => {
    const all = cpus().map(({ times }) => times);
    const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
    return { idle: sum(all.map(({ idle }) => idle)), all: sum(all.flatMap((times) => Object.values(times))) };
  };
  const before = spent();
  await delay(ms);
  const after = spent();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}

/**
 * What `act` does to those who ask meanwhile, `rate` times a second: nothing. No request fails, and all that they were told
 * is written is there afterwards.
 */
export async function underLoad<T>(target: Target, rate: number, act: () => Promise<T>): Promise<T> {
  const atLeast = Math.ceil(rate * SECONDS);
  const load = await startLoad({ ...target, rate, atLeast });
  const done = await act().catch(async (error) => {
    console.error(load.said(), JSON.stringify(await load.stop()));
    throw error;
  });
  const { failures, ...report } = await load.stop();
  // What it cost says whether this machine was too busy for the load itself.
  expect({ failures: failures.first, ...report }).toMatchObject({ failures: [], failed: 0, unknown: 0 });
  expect(report.requests).toBeGreaterThanOrEqual(atLeast);
  const { lost, strange, acknowledged } = await verify(target);
  expect({ lost, strange }).toMatchObject({ lost: { count: 0 }, strange: { count: 0 } });
  expect(acknowledged).toBeGreaterThan(atLeast / 10);
  return done;
}
