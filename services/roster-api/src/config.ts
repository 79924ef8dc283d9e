import { join } from 'node:path';
import { authSettings } from '@keelson/auth';
import { port, postgresUrl, processSettings, readConfig, wholeNumber } from '@keelson/config';
import { z } from 'zod';

export const readRosterConfig = () =>
  readConfig({
    ...processSettings,
    ...authSettings,
    PORT: port.default(3000),
    HOST: z.string().optional(),
    DATABASE_URL: postgresUrl,
    PRISMA_DIR: z.string().default(join(import.meta.dirname, '../prisma')),
    WARM_UP_REQUESTS: wholeNumber(0, 10_000).default(0),
    DRAIN_MS: wholeNumber(0, 60_000).default(1000),
  });

export const readSeedConfig = () => readConfig({ DATABASE_URL: postgresUrl });
export const readSmokeConfig = () => readConfig({ ...authSettings, PORT: port.default(3000) });
