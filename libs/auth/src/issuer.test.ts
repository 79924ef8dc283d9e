import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
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

test('lets its process end, even while somebody keeps a connection to it', async () => {
  const source = `
    import { startIssuer } from ${JSON.stringify(new URL('issuer.ts', import.meta.url).href)};
    console.log((await startIssuer()).settings.AUTH_JWKS_URL);
    process.stdin.once('data', () => process.stdin.destroy());`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill());
  const [address] = await once(child.stdout, 'data');
  const connection = connect(Number(new URL(String(address)).port), '127.0.0.1');
  onTestFinished(() => void connection.destroy());
  await once(connection, 'connect');
  child.stdin.write('end');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
