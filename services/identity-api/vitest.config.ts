import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { globalSetup: '@keelson/postgres/testing' } });
