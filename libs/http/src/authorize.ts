import { allows, InvalidToken, KeysUnavailable, type Principal, type Scope, type Verifier } from '@keelson/auth';
import type { Request, RequestHandler } from 'express';
import { Problem } from './problem.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** In whose name it comes; undefined where the operation is public. */
    principal?: Principal;
  }
}

/** Who may use an operation: whoever has a token with this scope, or anybody, which has to be said. */
export type Access = 'public' | Scope;

/** Nobody who has no token with the scope gets past this. @throws Problem 401, 403 or 503 (RFC 6750, 3.1) */
export function authorize(access: Access, verify: Verifier['verify']): RequestHandler {
  if (access === 'public') return (_req, _res, next) => next();
  return async (req, _res, next) => {
    req.principal = await principalOf(req, verify);
    if (!allows(req.principal, access))
      throw new Problem(403, `The access token lacks the scope ${access}.`, {
        headers: challenge(`error="insufficient_scope", scope="${access}"`),
      });
    next();
  };
}

async function principalOf(req: Request, verify: Verifier['verify']): Promise<Principal> {
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(req.headers.authorization ?? '')?.[1];
  if (!token) {
    const detail = 'This needs an access token: send it as Authorization: Bearer TOKEN.';
    throw new Problem(401, detail, { headers: challenge() });
  }
  if (token === req.app.locals['warming']) return { subject: 'warm-up', scopes: ['*'] };
  try {
    return await verify(token);
  } catch (error) {
    if (error instanceof InvalidToken)
      throw new Problem(401, error.message, { headers: challenge('error="invalid_token"') });
    if (!(error instanceof KeysUnavailable)) throw error;
    req.log.error({ reason: error.message }, 'a token cannot be checked');
    const detail = 'The access token cannot be checked at the moment. Try again in a moment.';
    throw new Problem(503, detail, { headers: { 'Retry-After': '2' } });
  }
}

const challenge = (parameters?: string) => ({ 'WWW-Authenticate': parameters ? `Bearer ${parameters}` : 'Bearer' });
