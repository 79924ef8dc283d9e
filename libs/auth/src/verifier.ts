import { setTimeout as delay } from 'node:timers/promises';
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  jwtVerify,
  type FetchImplementation,
  type JWTVerifyGetKey,
} from 'jose';
import { InvalidToken, KeysUnavailable, type Principal } from './principal.ts';
import type { AuthSettings } from './settings.ts';

export type Verifier = {
  /** @throws InvalidToken, KeysUnavailable */
  verify: (token: string) => Promise<Principal>;
  /** Fetches the keys, so that the first token need not wait for them. Where that fails, the first token does. */
  prepare: () => Promise<void>;
};

type Log = { warn: (details: object, message: string) => void };

/** Keys are fetched again so often, so that one that is withdrawn is not trusted for ever. */
const REFRESH_MS = 60_000;
/** A key that is not known is asked for at once, but no more often than this. */
const COOLDOWN_MS = 1000;
const TIMEOUT_MS = 2000;
const TRIES = 3;
const PAUSE_MS = 200;
/** The keys are here, and none of them is that of the token. */
const OF_THE_TOKEN = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported];
/** How far the clocks of two machines may be apart. */
const CLOCK_TOLERANCE_S = 5;

/**
 * Checks access tokens by the issuer's public keys, which are kept: while the issuer is away, the tokens that it has issued
 * are good.
 */
export function createVerifier(
  { AUTH_ISSUER, AUTH_AUDIENCE, AUTH_JWKS_URL, AUTH_ALGORITHM }: AuthSettings,
  log: Log,
): Verifier {
  const keys = createRemoteJWKSet(new URL(AUTH_JWKS_URL), {
    cacheMaxAge: Infinity,
    cooldownDuration: COOLDOWN_MS,
    timeoutDuration: TIMEOUT_MS,
    [customFetch]: persistently,
  });
  const reload = (complaint: string) =>
    keys.reload().catch((error) => log.warn({ reason: reasonOf(error) }, complaint));

  // Whether or not tokens come: the next one may be of a key that was withdrawn long ago.
  setInterval(() => void reload('the keys of the issuer could not be refreshed'), REFRESH_MS).unref();

  const key: JWTVerifyGetKey = (header, token) =>
    keys(header, token).catch((error) => {
      if (OF_THE_TOKEN.some((kind) => error instanceof kind)) throw error;
      throw new KeysUnavailable(`The keys of the issuer cannot be fetched: ${reasonOf(error)}`);
    });

  return {
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, key, {
          issuer: AUTH_ISSUER,
          audience: AUTH_AUDIENCE,
          algorithms: [AUTH_ALGORITHM],
          requiredClaims: ['exp', 'sub'],
          clockTolerance: CLOCK_TOLERANCE_S,
        });
        const scopes = typeof payload['scope'] === 'string' ? payload['scope'].split(' ').filter(Boolean) : [];
        return { subject: payload.sub!, scopes };
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw new InvalidToken('The access token has expired: get a new one.');
        if (error instanceof errors.JOSEError) throw new InvalidToken('The access token is not valid.');
        throw error;
      }
    },
    prepare: () => reload('the keys of the issuer are not here yet'),
  };
}

/** A replica of the issuer that is being replaced is not the end: the next try finds another one. */
const persistently: FetchImplementation = async (url, options) => {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(url, options as RequestInit).catch((error: Error) => error);
    if (answer instanceof Response && answer.status < 500) return answer;
    if (attempt === TRIES && answer instanceof Response) return answer;
    if (attempt === TRIES || options.signal?.aborted) throw answer;
    await delay(PAUSE_MS);
  }
};

const reasonOf = ({ message, cause }: Error) =>
  cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || message : message;
