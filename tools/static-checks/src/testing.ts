import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Check, Problem, Repository } from './check.ts';

/** A folder with these files, for as long as the test runs. */
export function repositoryOf(contents: Record<string, string>): Repository {
  const root = mkdtempSync(join(tmpdir(), 'static-checks-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [file, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return { root, files: Object.keys(contents).sort(), read: (file) => contents[file]! };
}

/** @throws Error where the check did not run */
export async function problemsOf(check: Check, contents: Record<string, string>): Promise<Problem[]> {
  const outcome = await check(repositoryOf(contents));
  if ('skipped' in outcome) throw new Error(`skipped: ${outcome.skipped}`);
  return outcome.problems;
}

/** As `file:line what`, short enough to be read in a test. */
export const brief = (problems: Problem[]) => problems.map(({ file, line, what }) => `${file}:${line ?? ''} ${what}`);
