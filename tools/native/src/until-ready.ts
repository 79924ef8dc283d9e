import { setTimeout as sleep } from 'node:timers/promises';
import type { Stack } from './stack.ts';

const REMIND_MS = 15_000;
const GIVE_UP_MS = 60_000;

/**
 * Resolves when `url` answers 200. A watched service may wait for its author to mend a file, and so does this; without
 * the watch it gives up.
 * @throws Error with a sentence
 */
export async function untilReady(
  { config, output }: Stack,
  [name, url]: readonly [string, string],
  signal: AbortSignal,
) {
  const began = Date.now();
  let remind = began + REMIND_MS;
  while (!(await isReady(url, signal))) {
    await sleep(50, undefined, { signal });
    if (!config.watch && Date.now() - began > GIVE_UP_MS)
      throw new Error(`${name} was not ready within ${GIVE_UP_MS / 1000} s: what it wrote above says why.`);
    if (Date.now() < remind) continue;
    output.say(`${name} is not ready yet: what it wrote above says why. Still waiting …`);
    remind += REMIND_MS;
  }
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(2000)]) });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
