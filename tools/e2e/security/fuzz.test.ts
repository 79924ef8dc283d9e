import { comparer, problem, type OpenApi } from '@keelson/openapi';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { json, knock } from '../src/api.ts';
import { fuzzedRequests, type Document, type Fuzzed } from '../src/fuzzed-requests.ts';
import { send, type Answer } from '../src/http.ts';

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 5000);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
console.log(`Fuzzing with FUZZ_SEED=${seed}`);

type Catalog = { linkset: { 'service-desc': { href: string; title: string }[] }[] };
const { linkset } = json<Catalog>(await knock('GET', '/.well-known/api-catalog'));
const documents = await Promise.all(
  linkset
    .flatMap((links) => links['service-desc'])
    .map(async ({ href }) => json<OpenApi & Document>(await knock('GET', href))),
);
const operations = documents.flatMap((document) =>
  fuzzedRequests(document).map((operation) => ({ ...operation, differences: comparer(document) })),
);

/** What requests have made: some later ones are for it. */
const made: string[] = [];
const statuses = new Map<number, number>();

/** All requests of this file. */
function ask({ method, template, path, query, headers, type, body }: Fuzzed): Promise<Answer> {
  const filled = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encode(path[name]!));
  const asked = query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
  return send(method, asked ? `${filled}?${asked}` : filled, {
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': type }) },
    ...(body === undefined ? {} : { body }),
  });
}

const encode = (text: string) => encodeURIComponent(text.toWellFormed());

function withMade(request: Fuzzed, choice: number): Fuzzed {
  const id = made[choice];
  return id && 'id' in request.path ? { ...request, path: { ...request.path, id } } : request;
}

describe.concurrent('whatever is asked', () => {
  test.for(operations.map(({ name, ...rest }) => [name, rest] as const))(
    '%s does not fail, and answers as its document says',
    async ([, { requests, differences }], { expect }) => {
      const numRuns = Math.ceil(REQUESTS / operations.length);
      const property = fc.asyncProperty(requests, fc.nat(200), async (request, choice) => {
        const answer = await ask(withMade(request, choice));
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.headers.location) made.push(answer.headers.location.split('/').at(-1)!);
        expect(answer.status, answer.text).toBeLessThan(500);
        // What the proxy refuses itself may be of no operation's.
        const faults = answer.status === 400 || answer.status === 431 ? problem(answer) : differences(answer);
        expect(faults, `${answer.method} ${answer.path} → ${answer.status} ${answer.text.slice(0, 500)}`).toEqual([]);
      });
      await fc.assert(property, { seed, numRuns });
    },
  );
});

test('enough was asked, of which some was done and some refused', () => {
  const total = [...statuses.values()].reduce((sum, count) => sum + count, 0);
  expect(total).toBeGreaterThanOrEqual(REQUESTS);
  expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 201, 202, 204, 400, 404, 422]));
});

afterAll(() => console.log(`Answers: ${JSON.stringify(Object.fromEntries(statuses))}`));
