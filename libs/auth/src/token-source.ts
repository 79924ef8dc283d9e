import type { ClientSettings } from './settings.ts';

/** A token is renewed so long before it expires. */
const EARLY_S = 30;
const TIMEOUT_MS = 5000;
/** RFC 6749, 5.1: an issuer need not say how long a token is good. */
const UNKNOWN_LIFE_S = 60;

/**
 * Access tokens in the name of a service itself, by the client credentials grant (RFC 6749, 4.4). One is kept until shortly
 * before it expires, or until it is named as one that was refused.
 * @returns what gives a token that is good now. @throws Error with a sentence
 */
export function createTokenSource({
  AUTH_TOKEN_URL,
  AUTH_CLIENT_ID,
  AUTH_CLIENT_SECRET,
  AUTH_TOKEN_SCOPE,
  AUTH_TOKEN_AUDIENCE,
}: ClientSettings) {
  let kept: Promise<{ token: string; until: number }> | undefined;

  async function fetchToken() {
    const login = [AUTH_CLIENT_ID, AUTH_CLIENT_SECRET].map(encodeURIComponent).join(':');
    const response = await fetch(AUTH_TOKEN_URL, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        ...(AUTH_TOKEN_SCOPE ? { scope: AUTH_TOKEN_SCOPE } : {}),
        ...(AUTH_TOKEN_AUDIENCE ? { audience: AUTH_TOKEN_AUDIENCE } : {}),
      }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: Error) => {
      const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
      throw new Error(`${AUTH_TOKEN_URL} gives no token: ${cause?.code ?? message}`, { cause: error });
    });
    if (!response.ok) throw new Error(`${AUTH_TOKEN_URL} gives ${AUTH_CLIENT_ID} no token: ${response.status}`);
    const { access_token, expires_in } = (await response.json()) as { access_token: string; expires_in?: number };
    return { token: access_token, until: Date.now() + ((expires_in ?? UNKNOWN_LIFE_S) - EARLY_S) * 1000 };
  }

  return async function token(refused?: string): Promise<string> {
    const before = kept;
    const last = await before?.catch(() => undefined);
    // Of all that find the last one too old, the first asks for the next.
    if (kept === before && (!last || last.token === refused || last.until < Date.now())) kept = fetchToken();
    return (await kept!).token;
  };
}
