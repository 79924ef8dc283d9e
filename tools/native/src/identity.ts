import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { variableName } from './services.ts';
import type { Stack } from './stack.ts';

const SERVICE = 'identity-api';
const ADMINISTRATOR = 'admin@example.com';

/** What services are told of access tokens: all of them, and each one. */
export type Identity = { all: Record<string, string>; own: Record<string, Record<string, string>> };

/**
 * Whose tokens the stack takes: those of identity-api, unless AUTH_… variables name another provider. The keys' secret and
 * the administrator's password are made once, since the database keeps what was made with them; the clients' secrets are
 * new at each start. What scripts/token needs is written to identity.env.
 */
export function identityOf(
  { config, services, output }: Stack,
  origins: Map<string, string>,
  urls: Record<string, string>,
): Identity {
  const origin = origins.get(SERVICE);
  const all = {
    AUTH_ISSUER: 'https://localhost',
    AUTH_AUDIENCE: 'keelson',
    ...(origin ? { AUTH_JWKS_URL: `${origin}/api/v1/jwks.json`, AUTH_TOKEN_URL: `${origin}/api/v1/token` } : {}),
    ...Object.fromEntries(Object.entries(config.env).filter(([name]) => name.startsWith('AUTH_'))),
  } as Record<string, string>;
  if (!origin) return { all, own: {} };

  const clients = services.flatMap(({ name, scope }) => (scope ? [{ name, scope, secret: newSecret() }] : []));
  const administrator = keptSecret(join(config.dataDir, 'administrator-password'));
  const email = config.env['ADMINISTRATOR_EMAIL'] || ADMINISTRATOR;
  if (administrator.isNew)
    output.say(`The first administrator is ${email}, with the password ${administrator.value}: this is said once.`);
  const signing = { SIGNING_KEYS_SECRET: keptSecret(join(config.dataDir, 'signing-keys-secret')).value };
  const verbs = { ...all, ...signing, DATABASE_URL: urls[SERVICE]! };
  const lines = Object.entries(verbs).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(config.dataDir, 'identity.env'), lines.join(''), { mode: 0o600 });
  return {
    all,
    own: {
      [SERVICE]: {
        ...signing,
        ADMINISTRATOR_EMAIL: email,
        ADMINISTRATOR_PASSWORD: administrator.value,
        ...Object.fromEntries(
          clients.flatMap(({ name, scope, secret }) => [
            [`${variableName(name)}_CLIENT_SECRET`, secret],
            [`${variableName(name)}_CLIENT_SCOPE`, scope],
          ]),
        ),
      },
      ...Object.fromEntries(
        clients.map(({ name, secret }) => [name, { AUTH_CLIENT_ID: name, AUTH_CLIENT_SECRET: secret }]),
      ),
    },
  };
}

function keptSecret(file: string) {
  const isNew = !existsSync(file);
  if (isNew) writeFileSync(file, newSecret(), { mode: 0o600 });
  return { isNew, value: readFileSync(file, 'utf8').trim() };
}

const newSecret = () => randomBytes(24).toString('base64url');
