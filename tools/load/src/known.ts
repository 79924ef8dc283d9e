import type { Entry, Ledger, Write } from './ledger.ts';
import { recognize, type Worker } from './person.ts';

/** A worker whose creation was acknowledged. */
export type Known = {
  n: number;
  id: string;
  /** The newest that was acknowledged. */
  version: number;
  /** The write that was sent and not (yet) answered: reads may see it or not. */
  open?: 'change' | 'delete' | undefined;
  deleted: boolean;
};

export type Knowledge = ReturnType<typeof createKnowledge>;

/** What the run was told: its acknowledged writes, each also in the ledger. Two writes to a worker never overlap. */
export function createKnowledge(run: string, ledger: Ledger, random: () => number = Math.random) {
  const living: Known[] = [];
  const counts = { acknowledged: { create: 0, change: 0, delete: 0 }, unknown: 0 };
  let last = 0;

  function note(entry: Omit<Entry, 'at'>) {
    ledger.add({ at: Date.now(), ...entry });
    if (entry.acknowledged) counts.acknowledged[entry.write]++;
    else counts.unknown++;
  }
  const forget = (known: Known) => {
    const at = living.indexOf(known);
    if (at >= 0) living[at] = living.at(-1)!;
    if (at >= 0) living.pop();
  };
  const any = () => living[Math.floor(random() * living.length)];

  return {
    run,
    counts,
    /** The number of a new worker. */
    nextNumber: () => ++last,
    /** Any worker that is there, if there is one. */
    any,
    /** One that no write is under way to; undefined where that is not found at once. */
    free(write: 'change' | 'delete'): Known | undefined {
      for (let tries = 0; tries < 20; tries++) {
        const known = any();
        if (!known || known.open) continue;
        known.open = write;
        return known;
      }
      return undefined;
    },
    created(n: number, { id, updatedAt }: Worker) {
      living.push({ n, id, version: 1, deleted: false });
      note({ write: 'create', n, id, version: 1, updatedAt, acknowledged: true });
    },
    changed(known: Known, { updatedAt }: Worker) {
      known.version++;
      known.open = undefined;
      note({ write: 'change', n: known.n, id: known.id, version: known.version, updatedAt, acknowledged: true });
    },
    deleted(known: Known) {
      known.deleted = true;
      forget(known);
      note({ write: 'delete', n: known.n, id: known.id, version: known.version, acknowledged: true });
    },
    /** Nobody can say whether it happened: the worker is left alone from now on. */
    unanswered(write: Write, n: number, known?: Known) {
      if (known) forget(known);
      const version = !known ? 1 : write === 'change' ? known.version + 1 : known.version;
      note({ write, n, ...(known ? { id: known.id } : {}), version, acknowledged: false });
    },
  };
}

/** What is wrong with a worker that a read found, which began when `from` was its version. */
export function contradiction(run: string, known: Known, from: number, found: Worker, etag: string | undefined) {
  const seen = recognize(run, found);
  if (found.id !== known.id || seen?.n !== known.n) return `is another worker: ${JSON.stringify(found)}`;
  if (etag !== `"${seen.version}"`) return `has the ETag ${etag} with the fields of version ${seen.version}`;
  if (seen.version < from) return `is version ${seen.version}, although version ${from} was acknowledged`;
  const newest = known.open === 'change' ? known.version + 1 : known.version;
  return seen.version > newest ? `is version ${seen.version}, which nobody has written` : undefined;
}
