import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export type Running = { pid: number; parent: number; group: number; command: string };

/** All processes of this machine that run; those that have ended and are not yet collected do not count. */
export const running = (): Running[] => (existsSync('/proc/self/stat') ? fromProc() : fromPs());

/**
 * A process with all its descendants, and what else is in its group: as far as it runs.
 * @param known who belonged to it before: an orphan has lost the trace of its parent
 */
export function family(pid: number, known: Running[] = [], all = running()): Running[] {
  const isKnown = (one: Running) => known.some((member) => member.pid === one.pid && member.command === one.command);
  const found = all.filter((one) => one.pid === pid || one.group === pid || isKnown(one));
  const pids = new Set(found.map((one) => one.pid));
  for (const member of found)
    for (const one of all)
      if (one.parent === member.pid && !pids.has(one.pid)) {
        pids.add(one.pid);
        found.push(one);
      }
  return found;
}

function fromProc(): Running[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // pid (name) state parent group …, and the name may hold anything.
      const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return state === 'Z' ? [] : [{ pid: Number(pid), parent: Number(parent), group: Number(group), command }];
    } catch {
      return []; // it ended in this moment
    }
  });
}

function fromPs(): Running[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state=,args='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, parent, group, state, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (!command || state!.startsWith('Z')) return [];
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), command }];
  });
}
