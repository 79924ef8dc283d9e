import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processInfo } from '@keelson/embedded-postgres/process-table';
import { signalGroup } from './run.ts';

interface Recorded {
  pid: number;
  /** With the process id it names one process for ever. */
  started: string;
}

/** What runs in a data folder: for other programs to find it, and for the next start after a kill -9. */
export interface StackState extends Recorded {
  url: string;
  /** By service; `postgres` is the superuser's, and `migrator` that of the owner of the schemas. */
  databases: Record<string, string>;
  services: Record<string, Recorded & { url?: string }>;
}

export interface StackFile {
  update(change: Partial<StackState>): void;
  /** Records a service's process. */
  service(name: string, pid: number, url?: string): void;
  remove(): void;
}

const ORPHAN_MS = 2000;

/**
 * Makes this process the one stack of a data folder, after it has ended what an earlier one left running there.
 * @throws Error with a sentence where another one runs
 */
export async function claimStack(file: string, url: string): Promise<StackFile> {
  mkdirSync(dirname(file), { recursive: true });
  const state: StackState = { ...record(process.pid), url, databases: {}, services: {} };
  for (;;) {
    try {
      writeFileSync(file, JSON.stringify(state), { mode: 0o600, flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      await takeOver(file);
    }
  }
  const write = () => {
    writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  return {
    update(change) {
      Object.assign(state, change);
      write();
    },
    service(name, pid, serviceUrl) {
      state.services[name] = { ...record(pid), ...(serviceUrl ? { url: serviceUrl } : {}) };
      write();
    },
    remove: () => rmSync(file, { force: true }),
  };
}

async function takeOver(file: string): Promise<void> {
  const state = readState(file);
  if (state && isRunning(state))
    throw new Error(
      `Keelson is already running in this folder, as process ${state.pid}: ${state.url}\n` +
        `Stop it with Ctrl-C where it runs, or with "kill ${state.pid}".`,
    );
  await Promise.all(Object.values(state?.services ?? {}).map(endOrphan));
  rmSync(file, { force: true });
}

function readState(file: string): StackState | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // it was being written when the machine stopped
  }
}

const record = (pid: number): Recorded => ({ pid, started: processInfo(pid)?.started ?? '' });

function isRunning({ pid, started }: Recorded): boolean {
  const found = processInfo(pid);
  return found !== undefined && found.started === started;
}

async function endOrphan(orphan: Recorded): Promise<void> {
  if (!isRunning(orphan)) return;
  signalGroup(orphan.pid, 'SIGTERM');
  for (const deadline = Date.now() + ORPHAN_MS; Date.now() < deadline && isRunning(orphan);) await sleep(50);
  if (isRunning(orphan)) signalGroup(orphan.pid, 'SIGKILL');
}
