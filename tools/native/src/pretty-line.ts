export type Style = (color: 'dim' | 'green' | 'yellow' | 'red' | 'blue', text: string) => string;

const COLORS: Record<string, Parameters<Style>[0]> = { fatal: 'red', error: 'red', warn: 'yellow', info: 'green' };
const ALSO_ELSEWHERE = new Set(['level', 'time', 'msg', 'service', 'pid', 'hostname', 'err']);

/** What a service wrote, for people: a JSON log line becomes a readable one, an error's stack more; all else stays. */
export function prettyLine(line: string, style: Style): string[] {
  const entry = parse(line);
  if (!entry) return [line];
  const { level, time, msg, err } = entry;
  const message = String(msg ?? '');
  const words = new Set(message.split(' '));
  const details = Object.entries(entry)
    .filter(([name, value]) => !ALSO_ELSEWHERE.has(name) && !words.has(text(value)))
    .map(([name, value]) => style('dim', `${name}=${text(value)}`));
  const clock = style('dim', new Date(String(time)).toTimeString().slice(0, 8));
  const label = style(COLORS[String(level)] ?? 'blue', String(level).toUpperCase().padEnd(5));
  return [[clock, label, message, ...details].join(' '), ...stackOf(err)];
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry = JSON.parse(line);
    return 'level' in entry && 'time' in entry ? entry : undefined;
  } catch {
    return undefined;
  }
}

const text = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value));

function stackOf(err: unknown): string[] {
  const { stack, message } = (err ?? {}) as { stack?: string; message?: string };
  return (stack ?? message ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => `  ${line}`);
}
