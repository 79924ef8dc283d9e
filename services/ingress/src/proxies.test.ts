import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDirectory } from './proxies.ts';

let asked: string[];
let known: Record<string, string[]>;
let code: string;
const lookUp = async (name: string) => {
  asked.push(name);
  const found = known[name];
  if (!found) throw Object.assign(new Error(`${code} ${name}`), { code });
  return found;
};

beforeEach(() => {
  asked = [];
  code = 'ENOTFOUND';
  known = { 'www.example.com.internal': ['10.0.0.1', '10.0.0.2'], 'localhost.internal': ['10.0.0.3'] };
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

test('finds the proxies of a host, however it is written', async () => {
  const proxiesOf = createDirectory(8443, lookUp);
  expect(await proxiesOf('localhost')).toEqual([{ address: '10.0.0.3', port: 8443 }]);
  expect((await proxiesOf('WWW.Example.COM')).map(({ address }) => address).toSorted()).toEqual([
    '10.0.0.1',
    '10.0.0.2',
  ]);
  expect(asked).toEqual(['localhost.internal', 'www.example.com.internal']);
});

test('puts any of them first', async () => {
  const proxiesOf = createDirectory(8443, lookUp);
  const first = new Set<string>();
  for (let n = 0; n < 100; n++) first.add((await proxiesOf('www.example.com'))[0]!.address);
  expect(first.size).toBe(2);
});

test('asks once a second, also for what is not there', async () => {
  const proxiesOf = createDirectory(8443, lookUp);
  const ask = () =>
    Promise.all(['localhost', 'nowhere.example.com', 'localhost', 'nowhere.example.com'].map(proxiesOf));
  expect((await ask()).map((proxies) => proxies.length)).toEqual([1, 0, 1, 0]);
  await vi.advanceTimersByTimeAsync(900);
  await ask();
  expect(asked).toHaveLength(2);
  known = { 'nowhere.example.com.internal': ['10.0.0.4'] };
  await vi.advanceTimersByTimeAsync(200);
  expect((await ask()).map((proxies) => proxies.length)).toEqual([0, 1, 0, 1]);
  expect(asked).toHaveLength(4);
});

test('keeps what it knew while no answer comes, and no longer', async () => {
  const proxiesOf = createDirectory(8443, lookUp);
  const later = async () => {
    await vi.advanceTimersByTimeAsync(1100);
    return (await proxiesOf('localhost')).length;
  };
  expect(await later()).toBe(1);
  [known, code] = [{}, 'ETIMEOUT'];
  expect([await later(), await later()]).toEqual([1, 1]);
  code = 'ENOTFOUND';
  expect(await later()).toBe(0);
  code = 'ETIMEOUT';
  expect(await later()).toBe(0);
});

describe('looks up nothing but host names:', () => {
  test.for([
    '',
    '.',
    'www..example.com',
    '.example.com',
    'www.example.com.',
    '-a.example.com',
    'a-.example.com',
    'a_b.example.com',
    'a b',
    'a\nb',
    'www.example.com\n',
    'a/b',
    '127.0.0.1',
    '10.1',
    '::1',
    'exämple.com',
    `${'a'.repeat(64)}.example.com`,
    `${'a.'.repeat(120)}example.com`,
  ])('not %j', async (host) => {
    expect(await createDirectory(8443, lookUp)(host)).toEqual([]);
    expect(asked).toEqual([]);
  });
});
