import { parseArgs } from 'node:util';

export const USAGE = `npm test [-- OPTIONS]: runs the suites of this repository one after the other.

  --only NAME[,NAME…]  only these suites; those that take long run only when they are named here
  --skip NAME[,NAME…]  all but these
  --list               what suites there are
  --help               this text

A suite that fails does not stop the others. The last line counts them; the exit code is 1 when one failed, and with
CI=true also when one could not run.
`;

export type Options = { help: boolean; list: boolean; chosen: (name: string) => boolean };

export class UsageError extends Error {
  readonly exitCode = 2;
}

/**
 * @param long those of the names that run only when they are asked for
 * @throws UsageError with a sentence for what is not an option or not a suite
 */
export function readOptions(args: string[], names: string[], long: string[] = []): Options {
  const many = { type: 'string', multiple: true } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parsed(() => parseArgs({ args, options: { only: many, skip: many, list: flag, help: flag } }));
  const only = listed(values.only, names);
  const skip = listed(values.skip, names);
  const chosen = (name: string) =>
    (only.length === 0 ? !long.includes(name) : only.includes(name)) && !skip.includes(name);
  if (!names.some(chosen)) throw new UsageError('--only and --skip leave no suite to run');
  return { help: values.help, list: values.list, chosen };
}

function listed(given: string[] | undefined, names: string[]): string[] {
  const wanted = (given ?? []).flatMap((text) => text.split(',')).map((name) => name.trim());
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UsageError(`There is no suite "${unknown}": there are ${names.join(', ')}`);
  return wanted;
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}: npm test -- --help lists the options`);
  }
}
