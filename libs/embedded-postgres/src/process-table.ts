import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessInfo {
  parent: number;
  /** When it started, in the system's own words: a process id that is used again has another. */
  started: string;
  command: string;
}

/** What runs under this process id; undefined where nothing does. */
export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
  } catch {
    return undefined;
  }
}

function fromProc(pid: number): ProcessInfo | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before it may hold anything
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  if (fields[0] === 'Z') return undefined;
  return { parent: Number(fields[1]), started: fields[19] ?? '', command };
}

function fromPs(pid: number): ProcessInfo | undefined {
  const line = execFileSync('ps', ['-o', 'stat=,ppid=,lstart=,command=', '-p', String(pid)], { encoding: 'utf8' });
  const [, stat, parent, started, command] = /^\s*(\S+)\s+(\d+)\s+((?:\S+\s+){4}\S+)\s+(.*)$/m.exec(line) ?? [];
  if (!stat || stat.startsWith('Z')) return undefined;
  return { parent: Number(parent), started: started ?? '', command: command ?? '' };
}
