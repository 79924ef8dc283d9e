export { allows, InvalidToken, KeysUnavailable, type Principal, type Scope } from './principal.ts';
export { authSettings, clientSettings, type AuthSettings } from './settings.ts';
export { createTokenSource } from './token-source.ts';
export { createVerifier, type Verifier } from './verifier.ts';
