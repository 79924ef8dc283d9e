import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { asker } from '@keelson/http/smoke';
import { SESSIONS } from './sessions.routes.ts';
import { JWKS } from './token.routes.ts';
import { USERS } from './user.ts';

/**
 * Asks an identity-api that runs for everything that touches its tables, so that a schema it cannot live with is noticed.
 * Leaves nothing behind.
 * @param token which may write users
 * @throws Error that says what was asked and answered
 */
export async function smokeIdentity(url: string, token: string) {
  const ask = asker(url, token);
  const credentials = { email: `${randomUUID()}@example.com`, password: randomBytes(18).toString('hex') };

  await ask('GET', '/readyz', 200);
  const added = await ask('POST', USERS, 201, { json: { ...credentials, scopes: ['workers:read'] } });
  await ask('GET', `${USERS}?limit=1`, 200);
  const session = await ask('POST', SESSIONS, 201, { json: credentials });
  assert.equal(session.scope, 'workers:read', 'a session has other scopes than its user');
  const { refreshToken } = await ask('POST', `${SESSIONS}/refresh`, 201, {
    json: { refreshToken: session.refreshToken },
  });
  await ask('POST', `${SESSIONS}/end`, 204, { json: { refreshToken } });
  await ask('PATCH', `${USERS}/${added.id}`, 200, { json: { scopes: [] } });
  const { keys } = await ask('GET', JWKS, 200);
  assert.ok(keys.length >= 2, 'there are not two keys');
  const refused = { headers: { 'content-type': 'application/x-www-form-urlencoded' } };
  await ask('POST', '/api/v1/token', 400, refused);
  await ask('DELETE', `${USERS}/${added.id}`, 204);
}
