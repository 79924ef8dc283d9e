import { defineConfig } from 'vitest/config';

/** Stacks of containers, one after the other: each takes the whole machine. */
export default defineConfig({
  test: {
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
});
