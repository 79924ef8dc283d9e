import { operation, Problem } from '@keelson/http';
import { z } from 'zod';
import { issueAccessToken, type Issuer } from './access-token.ts';
import type { Database } from './database.ts';
import { hashPassword, inTurn, isPassword } from './passwords.ts';
import { beginSession, endSession, renewRefreshToken } from './refresh-tokens.ts';
import { granted, scopeText } from './scopes.ts';
import { countAttempt, forgetAttempts } from './sign-in-attempts.ts';
import { ACCESS_TOKEN_SECONDS } from './signing-keys.ts';
import { email, password } from './user.ts';

export const SESSIONS = '/api/v1/sessions';

const Session = z
  .object({
    accessToken: z.string(),
    tokenType: z.literal('Bearer'),
    expiresIn: z.int().meta({ description: 'Seconds until the access token expires' }),
    refreshToken: z.string().meta({ description: 'Good once, for the next session' }),
    scope: z.string(),
  })
  .meta({ id: 'Session' });
const Credentials = z.strictObject({ email, password: z.string().max(128) });
const refreshToken = z.string().max(100);

/** How a person gets tokens: by their password, and then by the refresh token that comes with each. */
export function sessionOperations(issuer: Issuer) {
  const { db } = issuer;

  const session = async (subject: string, scopes: string[], refreshToken: string) => ({
    accessToken: await issueAccessToken(issuer, { subject, scopes }),
    tokenType: 'Bearer',
    expiresIn: ACCESS_TOKEN_SECONDS,
    refreshToken,
    scope: scopes.join(' '),
  });

  return [
    operation({
      method: 'post',
      path: SESSIONS,
      summary: 'Sign in',
      access: 'public',
      body: Credentials.extend({ scope: scopeText.optional() }),
      answers: { 201: { description: 'The session', schema: Session } },
      problems: [401, 403],
      handle: async ({ body: { scope, ...credentials }, res }) => {
        const user = await authenticated(db, credentials);
        const scopes = granted(user.scopes, scope);
        const refreshToken = await beginSession(db, user, scopes);
        if (!refreshToken) throw wrongCredentials();
        res
          .status(201)
          .set('Cache-Control', 'no-store')
          .json(await session(user.id, scopes, refreshToken));
      },
    }),

    operation({
      method: 'post',
      path: `${SESSIONS}/refresh`,
      summary: 'Go on with a session',
      access: 'public',
      body: z.strictObject({ refreshToken }),
      answers: { 201: { description: 'The session', schema: Session } },
      problems: [401],
      handle: async ({ body, req, res }) => {
        const used = await renewRefreshToken(db, body.refreshToken, req.log);
        if (!used) throw refused('The refresh token is not good, or no longer: sign in again.');
        const renewed = await session(used.userId, used.scopes, used.successor);
        res.status(201).set('Cache-Control', 'no-store').json(renewed);
      },
    }),

    operation({
      method: 'post',
      path: `${SESSIONS}/end`,
      summary: 'Sign out',
      access: 'public',
      body: z.strictObject({ refreshToken }),
      answers: { 204: { description: 'The refresh token is good for nothing any more' } },
      handle: async ({ body, res }) => {
        await endSession(db, body.refreshToken);
        res.status(204).end();
      },
    }),

    operation({
      method: 'post',
      path: `${SESSIONS}/password`,
      summary: 'Change your own password, and end all your sessions',
      access: 'public',
      body: Credentials.extend({ newPassword: password }),
      answers: { 204: { description: 'The new password is the one to sign in with' } },
      problems: [401],
      handle: async ({ body: { newPassword, ...credentials }, res }) => {
        const { id, updatedAt } = await authenticated(db, credentials);
        const passwordHash = await hashPassword(newPassword);
        const isChanged = await db.$transaction(async (tx) => {
          const { count } = await tx.user.updateMany({ where: { id, updatedAt }, data: { passwordHash } });
          if (count) await tx.refreshToken.deleteMany({ where: { userId: id } });
          return count > 0;
        });
        if (!isChanged) throw wrongCredentials();
        res.status(204).end();
      },
    }),
  ];
}

/** @throws Problem 401, 429 after too many mistakes, or 503, which is none */
const authenticated = (db: Database, { email, password }: z.infer<typeof Credentials>) =>
  inTurn(async () => {
    await countAttempt(db, email);
    const user = await db.user.findUnique({ where: { email } });
    if (!(await isPassword(password, user?.passwordHash)) || !user) throw wrongCredentials();
    await forgetAttempts(db, email);
    return user;
  });

const wrongCredentials = () => refused('The email address or the password is wrong.');
const refused = (detail: string) => new Problem(401, detail, { headers: { 'WWW-Authenticate': 'Bearer' } });
