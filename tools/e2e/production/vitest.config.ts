import { defineConfig } from 'vitest/config';

/** Whole deployments, one after the other: each takes the whole machine, and the tests of each are one story. */
export default defineConfig({
  test: {
    fileParallelism: false,
    bail: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
