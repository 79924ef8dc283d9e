export type Outcome = { state: 'passed' } | { state: 'failed' | 'skipped'; reason: string };
export type Result = Outcome & { title: string; seconds: number; isLeftOut?: boolean };

/** What is said at the end: a table, and as the last line how many. */
export function report(results: Result[], ci: boolean): string[] {
  const width = Math.max(...results.map(({ title }) => title.length), 'suite'.length);
  const row = (title: string, state: string, seconds: string, reason = '') =>
    `${title.padEnd(width)}  ${state.padEnd(7)}  ${seconds.padStart(7)}  ${reason}`.trimEnd();
  const rows = results.map((result) =>
    row(result.title, result.state, result.seconds.toFixed(1), result.state === 'passed' ? '' : result.reason),
  );
  const count = (state: Outcome['state']) => results.filter((result) => result.state === state).length;
  const strict = ci && results.some(couldNotRun) ? ['', 'CI=true: a suite that cannot run fails the run.'] : [];
  const total = `suites: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
  return ['', row('suite', 'result', 'seconds'), ...rows, ...strict, '', total];
}

export const exitCode = (results: Result[], ci: boolean) =>
  results.some((result) => result.state === 'failed' || (ci && couldNotRun(result))) ? 1 : 0;

/** Not one that somebody has left out. */
const couldNotRun = ({ state, isLeftOut }: Result) => state === 'skipped' && !isLeftOut;
