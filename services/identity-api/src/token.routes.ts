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
/** One that is empty counts as one that is left out (RFC 6749, 3.2). */
const field = (about: z.core.GlobalMeta = {}) =>
  z
    .string()
    .meta(about)
    .transform((text) => text || undefined)
    .optional();
/** It takes more than it describes: what is wrong is said in the words of RFC 6749, which no schema has. */
const Grant = z
  .object({
    grant_type: field({ const: 'client_credentials' }),
    scope: field(scopeText.meta()),
    client_id: field({ description: 'Where they do not come as Basic authentication' }),
    client_secret: field(),
  })
  .meta({ required: ['grant_type'] });

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
      problems: [401],
      handle: async ({ body, req, res }) => {
        if (!body.grant_type) throw refused('invalid_request', 'The parameter grant_type is missing.');
        if (body.grant_type !== 'client_credentials')
          throw refused('unsupported_grant_type', 'The grant_type can only be client_credentials.');
        const asked = scopeText.optional().safeParse(body.scope);
        if (!asked.success) throw refused('invalid_scope', `The scope ${asked.error.issues[0]!.message}.`);
        const { id, secret } = basic(req.headers.authorization) ?? { id: body.client_id, secret: body.client_secret };
        const client = id && CLIENT_ID.test(id) ? await db.client.findUnique({ where: { id } }) : null;
        if (!client || !isSame(client.secretHash, hashSecret(secret ?? '')))
          throw new Problem(401, 'There is no such client, or its secret is another one.', {
            error: 'invalid_client',
            headers: { 'WWW-Authenticate': 'Basic realm="clients"' },
          });
        const scopes = granted(client.scopes, asked.data, (scope) =>
          refused('invalid_scope', `The scope ${scope} was not granted.`),
        );
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

const refused = (error: string, detail: string) => new Problem(400, detail, { error });

/** Both are encoded as a form has them before they are put together (RFC 6749, 2.3.1). */
function basic(header: string | undefined) {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(header ?? '') ?? [];
  const [, id, secret] = /^([^:]*):(.*)$/.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? [];
  try {
    return id === undefined ? undefined : { id: decoded(id), secret: decoded(secret!) };
  } catch {
    return undefined; // not percent-encoded, so it is nobody's
  }
}

const decoded = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));

const isSame = (one: string, other: string) => timingSafeEqual(Buffer.from(one), Buffer.from(other));
