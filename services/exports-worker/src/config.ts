import { clientSettings } from '@keelson/auth';
import { httpUrl, postgresUrl, processSettings, readConfig } from '@keelson/config';
import { z } from 'zod';

export const readExportsConfig = () =>
  readConfig({
    ...processSettings,
    ...clientSettings,
    DATABASE_URL: postgresUrl,
    ROSTER_API_URL: httpUrl,
    MEDIA_DIR: z.string().default('/media'),
    HEALTH_FILE: z.string().default('/tmp/health'),
  });
