import { networkInterfaces } from 'node:os';
import { startLoad, verify } from '@keelson/load';
import { expect } from 'vitest';

/** Requests a second. A slower machine than one with two processors bears less. */
export const RATE = Number(process.env['LOAD_RATE'] ?? 300);
/** At least for so long: 10,000 requests at 300 a second. */
const SECONDS = 100 / 3;

/** This machine's own. What comes to the loopback address Docker carries itself, at the cost of as much as a proxy's. */
export const ADDRESS = networkInterfaces()['docker0']?.[0]?.address ?? '127.0.0.1';

/** Where requests go: over TLS to the address `connect`. */
export type Target = { url: string; connect: string; ca: string; tokenCommand: string };

/**
 * What `act` does to those who ask meanwhile: nothing. No request fails, and all that they were told is written, for which
 * the file `ledger` is, is there afterwards.
 */
export async function underLoad<T>(target: Target, ledger: string, act: () => Promise<T>, rate = RATE): Promise<T> {
  const atLeast = Math.ceil(rate * SECONDS);
  const load = await startLoad({ ...target, rate, ledger, atLeast });
  const done = await act().catch(async (error) => {
    console.error(load.said(), JSON.stringify(await load.stop()));
    throw error;
  });
  const { failures, ...report } = await load.stop();
  // What it cost says whether this machine was too busy for the load itself.
  expect({ failures: failures.first, ...report }).toMatchObject({ failures: [], failed: 0, unknown: 0 });
  expect(report.requests).toBeGreaterThanOrEqual(atLeast);
  const { lost, strange, acknowledged } = await verify({ ...target, ledger });
  expect({ lost, strange }).toMatchObject({ lost: { count: 0 }, strange: { count: 0 } });
  expect(acknowledged).toBeGreaterThan(atLeast / 10);
  return done;
}
