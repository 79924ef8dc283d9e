import { expect, onTestFinished, test } from 'vitest';
import { startIssuer } from './issuer.ts';
import { createVerifier } from './verifier.ts';

test.each(['EdDSA', 'ES256', 'RS256', 'PS256'] as const)(
  'signs with %s where services take that',
  async (algorithm) => {
    const { settings, token, close } = await startIssuer({ AUTH_ALGORITHM: algorithm });
    onTestFinished(close);
    const { verify } = createVerifier(settings, { warn: () => undefined });
    expect(await verify(await token({ scope: 'workers:read' }))).toEqual({
      subject: 'somebody',
      scopes: ['workers:read'],
    });
  },
);
