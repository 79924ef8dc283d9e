import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until there is an answer, for a fifth of the time: what is waited for needs the machine, too.
 * @returns the answer, and after how many milliseconds it came
 * @throws Error that says what did not come to be
 */
export async function until<T>(what: string, seconds: number, ask: () => Promise<T | undefined | false>) {
  const start = performance.now();
  for (;;) {
    const asked = performance.now();
    const answer = await ask();
    const ms = performance.now() - start;
    if (answer) return { answer, ms };
    if (ms > seconds * 1000) throw new Error(`${what}: not within ${seconds} s`);
    await delay(Math.min(500, 4 * (performance.now() - asked)));
  }
}
