import { setTimeout as delay } from 'node:timers/promises';

/** Waits, but no longer than until `signal` aborts. Without one it keeps no process alive. */
export const pause = (ms: number, signal?: AbortSignal) =>
  delay(ms, undefined, signal ? { signal } : { ref: false }).catch(() => undefined);
