/**
 * Calls `start` at a steady rate, whatever becomes of the calls before, until the signal. One that comes late, because
 * this process was busy, is told for when it was meant: waiting is part of what a client sees.
 * @param start gets the time it was due, as `performance.now()` counts
 */
export function openLoop(rate: number, signal: AbortSignal, start: (due: number) => void): Promise<void> {
  const begun = performance.now();
  const dueAt = (count: number) => begun + (count * 1000) / rate;
  let count = 0;
  return new Promise((resolve) => {
    const tick = () => {
      const now = performance.now();
      while (!signal.aborted && dueAt(count) <= now) start(dueAt(count++));
      if (signal.aborted) resolve();
      else setTimeout(tick, Math.max(1, dueAt(count) - performance.now()));
    };
    tick();
  });
}
