import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { AuthSettings } from './settings.ts';

export type Claims = { scope?: string; subject?: string; expiresIn?: string };
export type Issuer = { settings: AuthSettings; token: (claims?: Claims) => Promise<string>; close: () => void };

/**
 * An issuer of its own, for tests and for smoke tests, which run where no identity-api does: a key that nobody else has,
 * published at `AUTH_JWKS_URL` of this machine.
 */
export async function startIssuer(given: Partial<AuthSettings> = {}): Promise<Issuer> {
  const alg = given.AUTH_ALGORITHM ?? 'EdDSA';
  const { publicKey, privateKey } = await generateKeyPair(alg);
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'only', alg, use: 'sig' }] });
  const server = createServer((_req, res) => void res.setHeader('content-type', 'application/json').end(jwks));
  server.listen(given.AUTH_JWKS_URL ? Number(new URL(given.AUTH_JWKS_URL).port) : 0, '127.0.0.1');
  await once(server, 'listening');
  // No process goes on for it, nor for who keeps a connection to it.
  server.unref().on('connection', (socket) => void socket.unref());
  const settings: AuthSettings = {
    AUTH_ISSUER: 'https://issuer.test',
    AUTH_AUDIENCE: 'keelson',
    AUTH_ALGORITHM: alg,
    AUTH_JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    ...given,
  };
  return {
    settings,
    token: ({ scope = '*', subject = 'somebody', expiresIn = '5 minutes' } = {}) =>
      new SignJWT({ scope })
        .setProtectedHeader({ alg, kid: 'only' })
        .setIssuer(settings.AUTH_ISSUER)
        .setAudience(settings.AUTH_AUDIENCE)
        .setSubject(subject)
        .setIssuedAt()
        .setExpirationTime(expiresIn)
        .sign(privateKey),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
