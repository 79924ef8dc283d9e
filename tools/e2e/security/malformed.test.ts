import { expect, test } from 'vitest';
import { SMUGGLED } from '../src/malformed-requests.ts';
import '../src/malformed.test.ts';
import { logOf } from './deployed.ts';

test('no service has seen what was hidden in one', async () => {
  // The proxy's own account of what it refused has come by then: a service's would have been there before it.
  expect((await logOf('proxy')).filter((line) => line.includes('"path":"/api/v1/openapi.json"'))).not.toHaveLength(0);
  const seen = (await logOf('roster-api')).filter((line) => line.includes(SMUGGLED));
  expect(seen).toEqual([]);
});
