import { join } from 'node:path';
import { authSettings } from '@keelson/auth';
import { port, postgresUrl, processSettings, readConfig, wholeNumber } from '@keelson/config';
import { z } from 'zod';

const CLIENT_VARIABLE = /^([A-Z0-9_]+)_CLIENT_SECRET(_FILE)?$/;
const secret = z.string().min(16, 'must have 16 characters at least');

const signing = { SIGNING_KEYS_SECRET: secret };
const database = { DATABASE_URL: postgresUrl };

/** Every `<SERVICE>_CLIENT_SECRET` names a service that gets tokens, with what is in `<SERVICE>_CLIENT_SCOPE`. */
export function readIdentityConfig() {
  const names = [...new Set(Object.keys(process.env).flatMap((name) => CLIENT_VARIABLE.exec(name)?.[1] ?? []))];
  const clients = names.flatMap((name) => [
    [`${name}_CLIENT_SECRET`, secret],
    [`${name}_CLIENT_SCOPE`, z.string()],
  ]);
  const config = readConfig({
    ...processSettings,
    ...authSettings,
    ...signing,
    ...database,
    PORT: port.default(3000),
    HOST: z.string().optional(),
    PRISMA_DIR: z.string().default(join(import.meta.dirname, '../prisma')),
    WARM_UP_REQUESTS: wholeNumber(0, 10_000).default(0),
    DRAIN_MS: wholeNumber(0, 60_000).default(1000),
    ADMINISTRATOR_EMAIL: z.email().default('admin@example.com'),
    ADMINISTRATOR_PASSWORD: secret,
    ...(Object.fromEntries(clients) as Record<string, z.ZodString>),
  });
  const given = config as unknown as Record<string, string>;
  return {
    ...config,
    clients: names.map((name) => ({
      id: name.toLowerCase().replaceAll('_', '-'),
      secret: given[`${name}_CLIENT_SECRET`]!,
      scopes: given[`${name}_CLIENT_SCOPE`]!.split(' ').filter(Boolean),
    })),
  };
}

export const readSigningConfig = () => readConfig({ ...authSettings, ...signing, ...database });
export const readSmokeConfig = () => readConfig({ ...authSettings, PORT: port.default(3000) });
