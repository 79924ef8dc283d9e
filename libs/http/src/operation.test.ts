import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { createLogger } from '@keelson/logger';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi } from './api.ts';
import { operation } from './operation.ts';

const PATH = '/ships/7';
const Ship = z.strictObject({
  name: z.string().min(2),
  crew: z.array(z.strictObject({ name: z.string() })).default([]),
});

/** Answers with what it was given. */
const launch = operation({
  method: 'post',
  path: '/ships/{id}',
  summary: 'Launch a ship',
  access: 'public',
  params: z.object({ id: z.coerce.number().int() }),
  query: z.strictObject({ dry: z.stringbool().default(false), color: z.string().optional() }),
  headers: z.object({ 'x-captain': z.string().max(5).optional() }),
  body: Ship,
  answers: { 200: { description: 'What was given', schema: z.unknown() } },
  handle: ({ params, query, headers, body, res }) => res.json({ params, query, headers, body }),
});
const sink = operation({
  method: 'delete',
  path: '/ships/{id}',
  summary: 'Sink a ship',
  access: 'public',
  answers: { 200: { description: 'What was given', schema: z.unknown() } },
  handle: ({ req, res, body }) => res.json({ body: body ?? null, read: req.body ?? null }),
});

let server: Server;
beforeAll(async () => {
  const service = { service: 'ships', version: '1', commit: 'c', build: '42' };
  const log = createLogger({ service: 'ships', level: 'silent' });
  const ready = async () => undefined;
  const app = createApi({ service, log, operations: [launch, sink], ready, isUnavailable: () => false });
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

const post = (body: string | Buffer, headers = {}, path = PATH) =>
  request(server)
    .post(path)
    .set({ 'content-type': 'application/json', ...headers })
    .serialize((content) => content as string)
    .send(body);
const complaints = ({ body }: { body: { errors?: { in: string; name: string }[] } }) =>
  (body.errors ?? []).map((fault) => `${fault.in} ${fault.name}`.trim());

test('a handler gets what its schemas make of the request', async () => {
  const { body } = await post('{"name":"Argo"}', { 'x-captain': 'Jason' }, `${PATH}?dry=true`);
  expect(body).toEqual({
    params: { id: 7 },
    query: { dry: true },
    headers: { 'x-captain': 'Jason' },
    body: { name: 'Argo', crew: [] },
  });
});

describe('parameters that are wrong', () => {
  test('are all named, before the body is looked at', async () => {
    const answer = await post('{}', { 'x-captain': 'Odysseus' }, '/ships/x?dry=perhaps&color=a&color=b&__proto__=1');
    expect(answer.status).toBe(400);
    expect(complaints(answer).sort()).toEqual(
      ['header x-captain', 'path id', 'query __proto__', 'query color', 'query dry'].sort(),
    );
  });
});

describe('a body that is wrong', () => {
  test.for<[body: string, ...complaints: string[]]>([
    ['{}', 'body name'],
    ['{"name":""}', 'body name'],
    ['{"name":"Argo","crew":{}}', 'body crew'],
    ['{"name":"Argo","crew":[{"name":"Jason"},{"name":1,"age":2}]}', 'body crew.1.name', 'body crew.1.age'],
    ['{"name":"Argo","a":1,"b":2}', 'body a', 'body b'],
    ['{"name":"Argo","__proto__":{"crew":[]}}', 'body __proto__'],
    ['null', 'body'],
    ['[]', 'body'],
    ['"x"', 'body'],
  ])('is 422, and each field is named once: %s', async ([body, ...expected]) => {
    const answer = await post(body);
    expect([answer.status, ...complaints(answer)]).toEqual([422, ...expected]);
  });

  test.for<[status: number, body: string | Buffer, headers: Record<string, string>]>([
    [400, '{"name":', {}],
    [400, Buffer.from([0x22, 0xff, 0x22]), {}],
    [400, 'no gzip', { 'content-encoding': 'gzip' }],
    [413, JSON.stringify({ name: 'x'.repeat(101 * 1024) }), {}],
    [413, gzipSync(JSON.stringify({ name: 'x'.repeat(10_000_000) })), { 'content-encoding': 'gzip' }],
    [415, '{"name":"Argo"}', { 'content-type': 'text/plain' }],
    [415, '{"name":"Argo"}', { 'content-type': 'application/json; charset=latin1' }],
    [415, '{"name":"Argo"}', { 'content-encoding': 'lzma' }],
  ])('is %i where it cannot be read', async ([status, body, headers]) => {
    const answer = await post(body, headers);
    expect([answer.status, answer.body.status]).toEqual([status, status]);
    expect(answer.body.detail).toMatch(/^The body .*\.$/);
  });
});

/** Sends what supertest would not: without a length, in pieces, or not to the end. */
function stream(method: string, chunks: string[]) {
  const { port } = server.address() as AddressInfo;
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sending = httpRequest({ port, method, path: PATH, headers: { 'content-type': 'application/json' } });
    sending.on('error', reject).on('response', async (response) => {
      resolve({ status: response.statusCode!, text: (await response.toArray()).join('') });
    });
    sending.setHeader('transfer-encoding', 'chunked');
    for (const chunk of chunks) sending.write(chunk);
    sending.end();
  });
}

describe('a body without a length', () => {
  test.for<[status: number, chunks: string[]]>([
    [200, ['{"name":', '"Argo"}']],
    [422, []],
    [400, ['{"name":']],
    [413, Array(200).fill('x'.repeat(1024))],
  ])('is %i', async ([status, chunks]) => {
    expect((await stream('POST', chunks)).status).toBe(status);
  });
});

test('an operation without a body does not read one', async () => {
  const { status, text } = await stream('DELETE', ['{"name":']);
  expect([status, text]).toEqual([200, '{"body":null,"read":null}']);
});
