import { styleText } from 'node:util';
import { prettyLine } from './pretty-line.ts';

const COLORS = ['cyan', 'magenta', 'green', 'yellow', 'blue'] as const;

export interface Output {
  /** A line of our own. */
  say(line: string): void;
  /** Tells of a piece of work and how long it took; `note` adds what came of it. */
  step<T>(title: string, work: () => Promise<T>, note?: (result: T) => string | undefined): Promise<T>;
  /** A line that a service wrote. */
  log(service: string, line: string): void;
}

export interface OutputOptions {
  format: 'pretty' | 'json';
  names: string[];
  stream: Stream;
  /** Gets what is no log line when `format` is json. */
  errors: Stream;
}

interface Stream {
  write(text: string): unknown;
  isTTY?: boolean;
}

/** The stack's one output. On a terminal the work under way stands in the last line, below all that is written. */
export function createOutput({ format, names, stream: logs, errors }: OutputOptions): Output {
  const stream = format === 'json' ? errors : logs;
  const terminal = stream.isTTY === true;
  const style = (color: Parameters<typeof styleText>[0], text: string) =>
    terminal ? styleText(color, text, { validateStream: false }) : text;
  const width = Math.max(...names.map((name) => name.length));
  const prefix = (name: string) => style(COLORS[names.indexOf(name) % COLORS.length] ?? 'white', name.padEnd(width));
  const underWay = new Set<string>();

  const write = (line: string) => {
    const below = terminal && underWay.size > 0 ? style('dim', `  … ${[...underWay].join(', ')}`) : '';
    stream.write(terminal ? `\r\x1b[K${line}\n${below}` : `${line}\n`);
  };
  return {
    say: write,
    async step(title, work, note) {
      const started = performance.now();
      underWay.add(title);
      if (terminal) stream.write(`\r\x1b[K${style('dim', `  … ${[...underWay].join(', ')}`)}`);
      try {
        const result = await work();
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        underWay.delete(title);
        const said = note?.(result);
        write(`  ${style('green', '✓')} ${said ? `${title}: ${said}` : title} ${style('dim', `(${seconds} s)`)}`);
        return result;
      } finally {
        underWay.delete(title);
      }
    },
    log(service, line) {
      if (format === 'json') logs.write(`${line}\n`);
      else for (const part of prettyLine(line, style)) write(`${prefix(service)} ${part}`);
    },
  };
}
