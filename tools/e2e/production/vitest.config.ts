import { defineConfig } from 'vitest/config';

/** Whole deployments, one after the other: each takes the whole machine, and the tests of each are one story. */
export default defineConfig({
  test: {
    fileParallelism: false,
    bail: 1,
    // Several deploys, on a machine that takes minutes for each.
    testTimeout: 1_800_000,
    hookTimeout: 600_000,
  },
});
