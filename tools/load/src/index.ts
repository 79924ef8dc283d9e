export { startLoad, type RunningLoad } from './start.ts';
export { verify, type Verdict } from './verify.ts';
export type { Report } from './tally.ts';
