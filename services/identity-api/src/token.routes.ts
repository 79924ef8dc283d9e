import { timingSafeEqual } from 'node:crypto';
import { operation, Problem } from '@keelson/http';
import { z } from 'zod';
import { issueAccessToken, type Issuer } from './access-token.ts';
import { hashSecret } from './passwords.ts';
import { granted, scopeText } from './scopes.ts';
import { ACCESS_TOKEN_SECONDS, publicKeys } from './signing-keys.ts';

export const TOKEN = '/api/v1/token';
export const JWKS = '/api/v1/jwks.json';

/** Postgres has no text with a NUL in it. */
const CLIENT_ID = /^[\x21-\x7e]{1,100}$/;

/** As RFC 6749 names them, since any OAuth client may come. */
const Token = z
  .object({ access_token: z.string(), token_type: z.literal('Bearer'), expires_in: z.int(), scope: z.string() })
  .meta({ id: 'Token' });
const Grant = z.object({
  grant_type: z.literal('client_credentials'),
  scope: scopeText.optional(),
  client_id: z.string().optional().meta({ description: 'Where they do not come as Basic authentication' }),
  client_secret: z.string().optional(),
});

/** How a machine gets tokens (RFC 6749, 4.4), and by which keys all tokens are verified. */
export function tokenOperations(issuer: Issuer) {
  const { db } = issuer;
  return [
    operation({
      method: 'post',
      path: TOKEN,
      summary: 'Get a token with the credentials of a client',
      access: 'public',
      form: true,
      body: Grant,
      answers: { 200: { description: 'The token', schema: Token } },
      problems: [401, 403],
      handle: async ({ body, req, res }) => {
        const { id, secret } = basic(req.headers.authorization) ?? { id: body.client_id, secret: body.client_secret };
        const client = id && CLIENT_ID.test(id) ? await db.client.findUnique({ where: { id } }) : null;
        if (!client || !isSame(client.secretHash, hashSecret(secret ?? '')))
          throw new Problem(401, 'There is no such client, or its secret is another one.', {
            headers: { 'WWW-Authenticate': 'Basic realm="clients"' },
          });
        const scopes = granted(client.scopes, body.scope);
        const access_token = await issueAccessToken(issuer, { subject: client.id, client: client.id, scopes });
        const token = { access_token, token_type: 'Bearer', expires_in: ACCESS_TOKEN_SECONDS, scope: scopes.join(' ') };
        res.set('Cache-Control', 'no-store').json(token);
      },
    }),

    operation({
      method: 'get',
      path: JWKS,
      summary: 'Read the public keys of access tokens',
      access: 'public',
      answers: {
        200: { description: 'A JWK set (RFC 7517)', schema: z.object({ keys: z.array(z.looseObject({})) }) },
      },
      handle: async ({ res }) => res.json({ keys: await publicKeys(db) }),
    }),
  ];
}

/** Both are percent-encoded before they are put together (RFC 6749, 2.3.1). */
function basic(header: string | undefined) {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(header ?? '') ?? [];
  const [, id, secret] = /^([^:]*):(.*)$/.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? [];
  try {
    return id === undefined ? undefined : { id: decodeURIComponent(id), secret: decodeURIComponent(secret!) };
  } catch {
    return undefined; // not percent-encoded, so it is nobody's
  }
}

const isSame = (one: string, other: string) => timingSafeEqual(Buffer.from(one), Buffer.from(other));
