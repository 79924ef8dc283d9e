import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { exportWorkers } from '@keelson/jobs';
import { enqueue } from '@keelson/queue';
import { createTestQueue } from '@keelson/queue/testing';
import { afterAll, expect, test } from 'vitest';
import { killExportsWorkers, startExportsWorker } from './testing-process.ts';
import { createRoster } from './testing-roster.ts';

const ROWS = 1_000_000;
const exportId = '01890000-0000-7000-8000-000000000001';
const folder = mkdtempSync(join(tmpdir(), 'exports-worker-'));
afterAll(() => {
  killExportsWorkers();
  rmSync(folder, { recursive: true });
});

/** The most memory that a process has ever had (proc(5)). */
const peakMegabytes = (pid: number) =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;

test.runIf(process.platform === 'linux')(
  'a million rows are exported in 200 MB, every one of them',
  { timeout: 300_000 },
  async () => {
    const id = (n: number) => `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`;
    const roster = await createRoster(ROWS, (n) => ({
      id: id(n),
      name: `Worker "${n}", of the roster`,
      role: 'deckhand',
      email: `worker-${n}@example.com`,
      hiredOn: '2020-02-29',
    }));
    roster.exports.set(exportId, { state: 'queued' });
    roster.intercept = () => void (roster.calls.length = 0); // nor shall this process keep a million rows
    const queue = await createTestQueue();
    await enqueue((sql, ...values) => queue.query(sql, values), exportWorkers, { exportId }, { requestId: 'r' });
    const worker = startExportsWorker({
      DATABASE_URL: queue.url,
      ...roster.settings(),
      MEDIA_DIR: folder,
      HEALTH_FILE: join(folder, 'health'),
    });
    await expect
      .poll(() => roster.exports.get(exportId), { timeout: 240_000, interval: 200 })
      .toMatchObject({ state: 'done', rowsDone: ROWS });
    const peak = peakMegabytes(worker.pid);
    console.log(`peak: ${Math.round(peak)} MB`);
    expect(peak).toBeLessThanOrEqual(200);
    expect((await worker.stop()).code).toBe(0);

    let row = -1; // the header
    for await (const line of createInterface({ input: createReadStream(join(folder, 'exports', `${exportId}.csv`)) })) {
      if (row >= 0 && !line.startsWith(id(row))) expect(line, `row ${row}`).toBe(id(row));
      row += 1;
    }
    expect(row).toBe(ROWS);
    await roster.close();
    await queue.drop();
  },
);
