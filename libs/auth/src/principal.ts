/** What a token may do, such as `workers:read`. */
export type Scope = `${string}:${string}`;

/** In whose name a request comes. */
export type Principal = { subject: string; scopes: string[] };

/** What an administrator's token has: it stands for every scope. */
const EVERY_SCOPE = '*';

export const allows = ({ scopes }: Principal, scope: Scope) => scopes.includes(scope) || scopes.includes(EVERY_SCOPE);

/** A token that proves nothing. Its message may be told to whoever sent it. */
export class InvalidToken extends Error {}

/** The issuer's keys are not here and cannot be fetched, so that nobody can say whether a token is good. */
export class KeysUnavailable extends Error {}
