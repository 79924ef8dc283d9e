import { join } from 'node:path';
import { inOrder } from './in-order.ts';
import { readOptions, UsageError, USAGE } from './options.ts';
import { exitCode, report } from './report.ts';
import { suites } from './suites.ts';
import { environment, Interrupted, interruption } from './surroundings.ts';

try {
  const names = Object.keys(suites);
  const long = names.filter((name) => suites[name]!.isLong);
  const options = readOptions(process.argv.slice(2), names, long);
  if (options.help) process.stdout.write(USAGE);
  else if (options.list)
    for (const [name, { about }] of Object.entries(suites)) console.log(`${name.padEnd(12)}${about}`);
  else {
    const root = join(import.meta.dirname, '../../..');
    const ci = process.env['CI'] === 'true';
    const context = { root, env: environment(process.env), say: console.log, signal: interruption() };
    const results = await inOrder(suites, options.chosen, context);
    for (const line of report(results, ci)) console.log(line);
    process.exitCode = exitCode(results, ci);
  }
} catch (error) {
  if (!(error instanceof UsageError || error instanceof Interrupted)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
