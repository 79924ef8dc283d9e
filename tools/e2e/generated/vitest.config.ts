import { defineConfig } from 'vitest/config';

/** One story: what comes after a failure would say nothing. */
export default defineConfig({ test: { bail: 1, testTimeout: 600_000, hookTimeout: 600_000 } });
