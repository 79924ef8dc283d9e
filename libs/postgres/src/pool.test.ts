import { createLogger } from '@keelson/logger';
import { afterEach, expect, inject, test, vi } from 'vitest';
import { createPool } from './pool.ts';

afterEach(() => void vi.useRealTimers());

test('a connection that was opened is kept, however long nobody needs it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const pool = createPool(inject('postgresUrl'), { log: createLogger({ service: 'test', level: 'silent' }) });
  await Promise.all([pool.query('SELECT 1'), pool.query('SELECT 1')]);
  vi.advanceTimersByTime(86_400_000);
  expect([pool.totalCount, pool.idleCount]).toEqual([2, 2]);
  await pool.end();
});
