import { defineConfig } from 'vitest/config';

/**
 * Stacks of containers, one after the other: each takes the whole machine. The tests of a stack are one story, so what
 * comes after a failure would say nothing.
 */
export default defineConfig({
  test: {
    fileParallelism: false,
    bail: 1,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
});
