import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // These have a configuration of their own: their tests start and stop stacks.
    exclude: [...configDefaults.exclude, 'compose/**', 'generated/**', 'production/**', 'security/**'],
    globalSetup: 'src/stack-answers.ts',
    setupFiles: 'src/leave-clean.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
