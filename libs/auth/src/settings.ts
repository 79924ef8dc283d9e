import { httpUrl } from '@keelson/config';
import { z } from 'zod';

const text = z.string().min(1);

/** Whose tokens a service takes: those of identity-api, or of any other provider that publishes its keys (RFC 7517). */
export const authSettings = {
  AUTH_ISSUER: text,
  AUTH_AUDIENCE: text,
  AUTH_JWKS_URL: httpUrl,
  /** One alone (RFC 8725, 3.1), and none whose key is a shared secret. */
  AUTH_ALGORITHM: z.enum(['EdDSA', 'ES256', 'RS256', 'PS256']).default('EdDSA'),
};
export type AuthSettings = z.infer<z.ZodObject<typeof authSettings>>;

/** How a service that calls others gets its own tokens (RFC 6749, 4.4). */
export const clientSettings = {
  AUTH_TOKEN_URL: httpUrl,
  AUTH_CLIENT_ID: text,
  AUTH_CLIENT_SECRET: text,
  /** Some providers want to be told; identity-api gives all that a client may do. */
  AUTH_TOKEN_SCOPE: text.optional(),
  AUTH_TOKEN_AUDIENCE: text.optional(),
};
export type ClientSettings = z.infer<z.ZodObject<typeof clientSettings>>;
