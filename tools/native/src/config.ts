import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { port, processSettings, readConfig } from '@keelson/config';
import { z } from 'zod';

/** The stack has a database of its own. An older .env has the passwords of the services' roles in Compose, too. */
const OTHER_DATABASES = /(DATABASE_(URL|PASSWORD)|_(API|WORKER)_PASSWORD)(_FILE)?$/;

/** From the environment, and from `.env` where the environment says nothing. */
export function readNativeConfig(root: string) {
  const file = join(root, '.env');
  if (existsSync(file)) process.loadEnvFile(file);
  const config = readConfig({
    LOG_LEVEL: processSettings.LOG_LEVEL,
    LOG_FORMAT: z.enum(['pretty', 'json']).default('pretty'),
    PORT: port.default(1337),
    DATA_DIR: z.string().default('.data'),
    WATCH: z.enum(['0', '1']).default('1'),
  });
  return {
    logLevel: config.LOG_LEVEL,
    logFormat: config.LOG_FORMAT,
    port: config.PORT,
    dataDir: resolve(root, config.DATA_DIR),
    watch: config.WATCH === '1',
    /** What the stack's processes inherit. */
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !OTHER_DATABASES.test(name))),
  };
}

export type NativeConfig = ReturnType<typeof readNativeConfig>;
