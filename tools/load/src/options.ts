import { parseArgs } from 'node:util';
import type { RunOptions } from './run.ts';
import type { VerifyOptions } from './verify.ts';

export const USAGE = `Usage: npm run load -- run    --url URL --ledger FILE [OPTIONS]
       npm run load -- verify --url URL --ledger FILE [OPTIONS]

run asks a stack's API for workers at a steady rate, whatever the answers do, until SIGTERM: 80% reads, 20% writes, on
kept, seldom used and new connections, by quick and slow clients. A request has failed when it is refused, reset, cut
short, not answered in time, or answered with 5xx, 429 or what contradicts an earlier answer. None is ever sent again.
run prints a report as JSON, and ends with 1 if a request has failed.

verify reads back what run was told is written. It prints what is lost as JSON, and ends with 1 if anything is.

  --url URL             https://DOMAIN[:PORT] or http://…, the proxy of the stack
  --connect HOST:PORT   connect there instead, where no DNS knows the domain
  --ca FILE             trust these certificates
  --token-command CMD   a shell command that prints an access token, such as scripts/token
  --ledger FILE         where run notes its writes for verify; run writes it anew

run:
  --rate N              requests a second (300)
  --for SECONDS         end by itself
  --until-stdin-ends    end when the standard input does
  --at-least N          do not end before N requests were started
  --timeout-ms N        how long a request may take (10000)

verify:
  --instant TIME        say how long before it the lost and the surviving writes were acknowledged; ISO 8601, or
                        milliseconds since 1970
`;

export class UsageError extends Error {}

export type Command =
  | { command: 'help' }
  | { command: 'run'; options: RunOptions; seconds: number | undefined; untilStdinEnds: boolean }
  | { command: 'verify'; options: VerifyOptions };

/** @throws UsageError with a sentence */
export function readOptions(args: string[]): Command {
  const { values, positionals } = parsed(args);
  const [command, ...more] = positionals;
  if (values.help) return { command: 'help' };
  if ((command !== 'run' && command !== 'verify') || more.length > 0)
    throw new UsageError('The command is run or verify: --help says more');
  const { url, connect, ca, ledger } = values;
  if (!url || !ledger) throw new UsageError(`--${url ? 'ledger' : 'url'} is missing: --help says more`);
  const common = { url, connect, ca, ledger, tokenCommand: values['token-command'] };
  if (command === 'verify') return { command, options: { ...common, instant: instant(values.instant) } };
  const seconds = positive('for', values.for);
  const numbers = {
    atLeast: positive('at-least', values['at-least']),
    timeoutMs: positive('timeout-ms', values['timeout-ms']),
  };
  const options = { ...common, rate: positive('rate', values.rate) ?? 300, ...numbers };
  return { command, options, seconds, untilStdinEnds: values['until-stdin-ends'] };
}

function parsed(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const options = { url: text, connect: text, ca: text, ledger: text, rate: text, for: text, instant: text } as const;
  const more = {
    'at-least': text,
    'timeout-ms': text,
    'token-command': text,
    'until-stdin-ends': flag,
    help: { ...flag, short: 'h' },
  } as const;
  try {
    return parseArgs({ args, allowPositionals: true, options: { ...options, ...more } });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}: --help says more`);
  }
}

function positive(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const number = Number(given);
  if (!(number > 0 && number < 1e9)) throw new UsageError(`--${name} takes a positive number, not ${given}`);
  return number;
}

function instant(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const ms = /^\d+$/.test(given) ? Number(given) : Date.parse(given);
  if (Number.isNaN(ms)) throw new UsageError(`--instant takes a time such as 2026-01-31T12:00:00Z, not ${given}`);
  return ms;
}
