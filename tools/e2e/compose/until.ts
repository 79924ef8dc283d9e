import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until there is an answer.
 * @returns the answer, and after how many milliseconds it came
 * @throws Error that says what did not come to be
 */
export async function until<T>(what: string, seconds: number, ask: () => Promise<T | undefined | false>) {
  const start = performance.now();
  for (;;) {
    const answer = await ask();
    const ms = performance.now() - start;
    if (answer) return { answer, ms };
    if (ms > seconds * 1000) throw new Error(`${what}: not within ${seconds} s`);
    await delay(50);
  }
}
