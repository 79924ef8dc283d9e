import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Repository } from './check.ts';

/** @throws Error with a sentence where this folder is not a checkout */
export function openRepository(root: string): Repository {
  const { error, status, stdout, stderr } = spawnSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (error || status !== 0)
    throw new Error(`Git cannot say which files belong to this repository: ${error?.message ?? stderr.trim()}`);
  const files = [...new Set(stdout.split('\0'))].filter((file) => file && existsSync(join(root, file))).sort();
  return { root, files, read: (file) => readFileSync(join(root, file), 'utf8') };
}
