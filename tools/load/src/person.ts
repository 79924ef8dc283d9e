export const WORKERS = '/api/v1/workers';

/** A worker as the API answers it. */
export type Worker = {
  id: string;
  name: string;
  role: string;
  email: string;
  hiredOn: string;
  createdAt: string;
  updatedAt: string;
};
export type Page = { items: Worker[]; nextCursor: string | null };

const DAY_MS = 86_400_000;

/** The run's n-th worker in its v-th version. The fields say both, and so that they belong together. */
export const person = (run: string, n: number, version: number) => ({
  name: `Load ${n} v${version}`,
  role: run,
  email: `${run}-${n}@example.com`,
  hiredOn: new Date(Date.UTC(2000, 0, 1) + (n % 9000) * DAY_MS).toISOString().slice(0, 10),
});

/** Which of the run's workers it is, and in which version; undefined for one that no write of the run can have made. */
export function recognize(run: string, worker: Worker): { n: number; version: number } | undefined {
  const [, n, version] = /^Load (\d+) v(\d+)$/.exec(worker.name)?.map(Number) ?? [];
  if (n === undefined || version === undefined) return undefined;
  const meant = person(run, n, version);
  const same = worker.role === meant.role && worker.email === meant.email && worker.hiredOn === meant.hiredOn;
  return same ? { n, version } : undefined;
}
