import type { Result } from './report.ts';
import type { Context, Suite } from './suites.ts';

/** Runs one suite after the other; one that fails, or breaks, does not stop the others. */
export async function inOrder(
  suites: Record<string, Suite>,
  chosen: (name: string) => boolean,
  context: Context,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, { title, run }] of Object.entries(suites)) {
    if (!chosen(name)) {
      results.push({ title, seconds: 0, state: 'skipped', reason: 'left out by --only or --skip', isLeftOut: true });
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
