import { readOptions, USAGE, UsageError, type Command } from './options.ts';
import { runLoad } from './run.ts';
import { verify } from './verify.ts';

const say = (line: string) => void process.stderr.write(`${line}\n`);
const print = (result: object) => void process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);

async function main(command: Command): Promise<boolean> {
  if (command.command === 'help') return process.stdout.write(USAGE);
  if (command.command === 'verify') {
    const verdict = await verify(command.options);
    print(verdict);
    return verdict.lost.count === 0 && verdict.strange.count === 0;
  }
  const report = await runLoad(command.options, ending(command), say);
  print(report);
  return report.failed === 0;
}

function ending({ seconds, untilStdinEnds }: Extract<Command, { command: 'run' }>): AbortSignal {
  const stop = new AbortController();
  const end = () => stop.abort();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end);
  if (seconds !== undefined) setTimeout(end, seconds * 1000).unref();
  if (untilStdinEnds) {
    process.stdin.on('end', end).on('error', end).resume();
    // Where the load ends by itself, or never begins, nobody need close it. A file cannot keep the process anyway.
    process.stdin.unref?.();
  }
  return stop.signal;
}

try {
  process.exitCode = (await main(readOptions(process.argv.slice(2)))) ? 0 : 1;
} catch (error) {
  say((error as Error).message);
  process.exitCode = error instanceof UsageError ? 64 : 2;
}
