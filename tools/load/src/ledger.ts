import { createWriteStream, openSync, readFileSync } from 'node:fs';
import { finished } from 'node:stream/promises';

export type Write = 'create' | 'change' | 'delete';

export type Entry = {
  /** When its answer came, or it was certain that none would; milliseconds since 1970. */
  at: number;
  write: Write;
  /** Which of the run's workers. */
  n: number;
  /** Missing where a create was not answered. */
  id?: string;
  /** Which version it makes, or deletes. */
  version: number;
  /** As the answer says; a worker that is found in this version must have it. */
  updatedAt?: string;
  /** Without it the write may have happened or not: its answer never came. It is the last one to its worker. */
  acknowledged: boolean;
};

export type Ledger = ReturnType<typeof openLedger>;

/** A line of JSON for each write, in a file. A disk that is busy holds nobody up. */
export function openLedger(file: string, run: string) {
  const stream = createWriteStream(file, { fd: openSync(file, 'w') });
  const add = (line: object) => void stream.write(`${JSON.stringify(line)}\n`);
  add({ run });
  return { add: (entry: Entry) => add(entry), close: () => finished(stream.end()) };
}

/** @throws Error with a sentence for a file that is no ledger */
export function readLedger(file: string): { run: string; entries: Entry[] } {
  try {
    const [head = {}, ...entries] = readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    if (typeof head.run !== 'string') throw new Error('its first line names no run');
    return { run: head.run, entries };
  } catch (error) {
    throw new Error(`${file} is no ledger: ${(error as Error).message}`, { cause: error });
  }
}
