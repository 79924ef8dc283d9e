import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // compose/ has a configuration of its own: its tests start and stop stacks.
    exclude: [...configDefaults.exclude, 'compose/**'],
    globalSetup: 'src/stack-answers.ts',
    setupFiles: 'src/leave-clean.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
