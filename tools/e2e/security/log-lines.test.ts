import { expect, test } from 'vitest';
import { sendRaw } from '../src/raw.ts';
import { deployed, stack } from './deployed.ts';

const host = `${deployed.domain}:${deployed.tlsPort}`;

/** What a header may hold, and what a terminal, JSON or a reader of lines could take for something else. */
const texts = {
  quotes: '"}, {"level":"fatal"} \\" \\u0022 \\',
  latin1: 'caf\xe9 \xff\xfe',
  'half of a character': '\xe2\x98',
  'too long a form': '\xc0\xaf \xed\xa0\x80',
  'control characters': 'a\tb\x1b[31mred\x7f',
  '7 kB': '"'.repeat(6900),
};

/** Each request is one line on stdout; what nginx has to say of itself is on stderr. */
async function lines() {
  const [proxy] = await stack.containers('proxy');
  return (await stack.docker('logs', proxy!.Id)).stdout.split('\n').filter(Boolean);
}

test('one request is one line of JSON, whatever it contains', async () => {
  const before = (await lines()).length;
  let sent = 0;
  for (const text of Object.values(texts)) {
    const spoiled = text.replaceAll(/[ \t]/g, '');
    for (const request of [
      `GET /api/v1/openapi.json HTTP/1.1\r\nUser-Agent: ${text}\r\nReferer: ${text}\r\n`,
      `GET /${spoiled} HTTP/1.1\r\n`,
      `GET /nowhere?${spoiled} HTTP/1.1\r\n`,
      `${spoiled.slice(0, 10)} / HTTP/1.1\r\n`,
    ]) {
      const head = `${request}Host: ${host}\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\r\n`;
      await sendRaw(Buffer.from(head, 'latin1'));
      sent += 1;
    }
  }
  await sendRaw(Buffer.from(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
  sent += 1;
  const said = (await lines()).slice(before);
  expect(said).toHaveLength(sent);
  for (const line of said) {
    expect(line, 'no character that could not be read').not.toContain('\ufffd');
    expect(Buffer.byteLength(line)).toBeLessThan(4096);
    expect(JSON.parse(line)).toMatchObject({ service: 'proxy', client: expect.not.stringContaining('6.6.6.6') });
  }
});
