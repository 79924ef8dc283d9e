import { beforeAll, describe, expect, test } from 'vitest';
import { NotTls, serverName } from './client-hello.ts';
import { helloFor } from './testing-hello.ts';

let hello: Buffer;
beforeAll(async () => {
  hello = await helloFor('www.example.com');
});

const record = (payload: Buffer, type = 22) =>
  Buffer.concat([Buffer.from([type, 3, 1, payload.length >> 8, payload.length & 255]), payload]);

test('finds the host in what a TLS client says first', () => {
  expect(serverName(hello)).toBe('www.example.com');
});

test('waits for more until the hello is complete, wherever it is cut', () => {
  for (let length = 0; length < hello.length; length++) expect(serverName(hello.subarray(0, length))).toBeUndefined();
});

test('puts a hello together that comes in several records', () => {
  const message = hello.subarray(5);
  for (const size of [1, 3, 100]) {
    const pieces = Array.from({ length: Math.ceil(message.length / size) }, (_, index) =>
      record(message.subarray(index * size, (index + 1) * size)),
    );
    expect(serverName(Buffer.concat(pieces))).toBe('www.example.com');
  }
});

test('is empty where the client names no host', async () => {
  expect(serverName(await helloFor(''))).toBe('');
});

describe('refuses', () => {
  test.for([
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['another version of the record', Buffer.from([22, 2, 0, 0, 5])],
    ['an alert', record(Buffer.from([2, 40]), 21)],
    ['another message', record(Buffer.from([2, 0, 0, 1, 0]))],
    ['a hello that is shorter than what it says', record(Buffer.from([1, 0, 0, 2, 3, 3]))],
    ['a hello that does not end', Buffer.concat([hello1(), Buffer.alloc(20_001)])],
  ] as const)('%s', ([, bytes]) => {
    expect(() => serverName(bytes)).toThrow(NotTls);
  });

  function hello1() {
    return Buffer.from([22, 3, 1, 0x7f, 0xff, 1, 0xff, 0xff, 0xff]);
  }
});

test('never fails in another way, whatever comes', () => {
  let seed = 1;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let run = 0; run < 20_000; run++) {
    const bytes = Buffer.from(hello.subarray(0, 1 + random(hello.length)));
    for (let change = random(8); change > 0; change--) bytes[random(bytes.length)] = random(256);
    try {
      expect(['string', 'undefined']).toContain(typeof serverName(bytes));
    } catch (error) {
      if (!(error instanceof NotTls)) throw error;
    }
  }
});
