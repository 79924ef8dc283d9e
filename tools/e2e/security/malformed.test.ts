import { expect, test } from 'vitest';
import { SMUGGLED } from '../src/malformed-requests.ts';
import '../src/malformed.test.ts';
import { sendRaw } from '../src/raw.ts';
import { deployed, logOf } from './deployed.ts';

test('no service has seen what was hidden in one', async () => {
  // The proxy's own account of what it refused has come by then: a service's would have been there before it.
  expect((await logOf('proxy')).filter((line) => line.includes('"path":"/api/v1/openapi.json"'))).not.toHaveLength(0);
  const seen = (await logOf('roster-api')).filter((line) => line.includes(SMUGGLED));
  expect(seen).toEqual([]);
});

test('the answer to a request that is too long is not lost with the rest of it', async () => {
  const long = Buffer.from(
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: ${deployed.domain}:${deployed.tlsPort}\r\n\r\n`,
  );
  for (let round = 0; round < 40; round++) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => sendRaw(long)));
    expect(answers.map(({ statuses }) => statuses)).toEqual(Array(10).fill([414]));
  }
});
