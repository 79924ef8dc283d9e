import type { Result } from './report.ts';
import type { Context, Suite } from './suites.ts';

/** Runs one suite after the other; one that fails, or breaks, does not stop the others. */
export async function inOrder(
  suites: Record<string, Suite>,
  chosen: (name: string) => boolean,
  context: Context,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, { title, isLong, run }] of Object.entries(suites)) {
    if (!chosen(name)) {
      const reason = isLong ? `takes long: npm run test:${name} runs it` : 'left out by --only or --skip';
      results.push({ title, seconds: 0, state: 'skipped', reason, isLeftOut: true });
      continue;
    }
    context.say(`\n=== ${title}`);
    const started = Date.now();
    const outcome = await run(context).catch((error: Error) => {
      context.signal.throwIfAborted();
      return { state: 'failed' as const, reason: error.message };
    });
    const seconds = (Date.now() - started) / 1000;
    context.say(`=== ${title}: ${outcome.state} after ${seconds.toFixed(1)} s`);
    results.push({ title, seconds, ...outcome });
  }
  return results;
}
