import { defineConfig } from 'vitest/config';

/** One production stack for all files, one after the other: some of them stop parts of it for a while. */
export default defineConfig({
  test: {
    fileParallelism: false,
    globalSetup: 'deploy.ts',
    setupFiles: 'account.ts',
    // Some deploy, or change passwords three times, on a machine that takes minutes for each.
    testTimeout: 1_200_000,
    hookTimeout: 120_000,
  },
});
