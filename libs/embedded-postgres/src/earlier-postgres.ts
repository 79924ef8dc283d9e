import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processInfo, type ProcessInfo } from './process-table.ts';

const SHUTDOWN_MS = 10_000;

/** The setting that tells a Postgres of ours who started it: `-c keelson.starter=PID`. */
export const starterSetting = (pid: number) => `keelson.starter=${pid}`;

/**
 * Makes way in a data directory: a Postgres whose starter was killed is stopped, one that is in use is an error, and a
 * lock file whose process id now belongs to another program is removed.
 */
export async function clearDataDirectory(data: string): Promise<void> {
  const lockFile = join(data, 'postmaster.pid');
  const pid = Number(firstLine(lockFile));
  const found = pid > 0 ? processInfo(pid) : undefined;
  if (!found) return; // Postgres itself sees that nobody holds the lock
  if (!found.command.includes('postgres')) return rmSync(lockFile, { force: true });
  if (!found.command.includes(`-D ${data} `) || !isOrphan(found))
    throw new Error(`Postgres is already running on ${data}, as process ${pid}: stop it first.`);
  await stopProcess(pid, found);
}

/** A child whose parent has died belongs to another process than the one that started it. */
function isOrphan({ command, parent }: ProcessInfo): boolean {
  return command.includes('keelson.starter=') && !command.includes(`${starterSetting(parent)} `);
}

async function stopProcess(pid: number, { started }: ProcessInfo): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    const deadline = Date.now() + SHUTDOWN_MS;
    process.kill(pid, signal);
    while (Date.now() < deadline) {
      if (processInfo(pid)?.started !== started) return;
      await sleep(50);
    }
  }
}

/** Removes what temporary databases in `folder` left behind whose starter was killed. Names begin with `prefix` and its pid. */
export async function removeAbandoned(folder: string, prefix: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    const starter = Number(new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1]);
    if (!starter || processInfo(starter)) continue;
    try {
      await clearDataDirectory(join(folder, name, 'data'));
      rmSync(join(folder, name), { recursive: true, force: true });
    } catch {
      // another user's
    }
  }
}

function firstLine(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[0];
  } catch {
    return undefined;
  }
}
