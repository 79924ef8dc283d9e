import { afterAll, afterEach } from 'vitest';
import { stack } from './deployed.ts';

let failed = false;
afterEach(({ task }) => {
  failed ||= task.result?.state === 'fail';
});
afterAll(async () => {
  if (failed) console.error(await stack.account());
});
