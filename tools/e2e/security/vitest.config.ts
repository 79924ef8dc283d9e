import { defineConfig } from 'vitest/config';

/** One production stack for all files, one after the other: some of them stop parts of it for a while. */
export default defineConfig({
  test: {
    fileParallelism: false,
    globalSetup: 'deploy.ts',
    setupFiles: 'account.ts',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
