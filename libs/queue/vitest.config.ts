import { defineConfig } from 'vitest/config';

// The root names the role that tests use, and `queue` is the role that owns the queue.
export default defineConfig({ test: { root: 'src', globalSetup: '@keelson/postgres/testing', testTimeout: 30_000 } });
