import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { globalSetup: '@keelson/postgres/testing', testTimeout: 30_000 } });
