import { describe, inject, test } from 'vitest';
import { malformedRequests } from './malformed-requests.ts';
import { sendRaw } from './raw.ts';

const { host } = new URL(inject('baseUrl'));
const isRefusal = (status: number) => (status >= 400 && status < 500) || status === 501 || status === 505;

describe.concurrent('a malformed request is answered once, with a refusal', () => {
  test.for(malformedRequests(host).map(({ what, bytes }) => [what, bytes] as const))(
    '%s',
    { timeout: 60_000 },
    async ([, bytes], { expect }) => {
      const { statuses, text } = await sendRaw(bytes);
      expect(statuses, text.slice(0, 500)).toEqual([expect.toSatisfy(isRefusal)]);
    },
  );
});
