import { comparer, faultsOf, type Answer, type OpenApi } from './openapi.ts';
import { describe, expect, test } from 'vitest';

const document = (): OpenApi =>
  ({
    openapi: '3.1.1',
    info: { title: 'ships', version: '1' },
    paths: {
      '/api/ships/{id}': {
        get: {
          parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
          responses: {
            200: {
              description: 'A ship',
              headers: { ETag: { required: true, schema: { type: 'string' } } },
              content: { 'application/json': { schema: { $ref: '#/components/schemas/Ship' } } },
            },
            304: { description: 'Not changed' },
            404: { $ref: '#/components/responses/Unknown' },
          },
        },
      },
    },
    components: {
      schemas: { Ship: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } } },
      responses: {
        Unknown: { description: 'None', content: { 'application/problem+json': { schema: { type: 'object' } } } },
      },
    },
  }) as unknown as OpenApi;

describe('faultsOf', () => {
  test('finds none in a valid document', () => {
    expect(faultsOf(document())).toEqual([]);
  });

  test('finds what OpenAPI, JSON Schema and references forbid', () => {
    const get = (change: (responses: Record<string, unknown>) => void) => {
      const changed = document();
      change(changed.paths['/api/ships/{id}']!['get']!.responses);
      return faultsOf(changed);
    };
    const json = (schema: object) => ({ description: 'x', content: { 'application/json': { schema } } });
    expect(faultsOf({ ...document(), openapi: '3.0.3' })).not.toEqual([]);
    expect(get((responses) => (responses['200'] = {}))).not.toEqual([]);
    expect(get((responses) => (responses['200'] = json({ type: 'text' })))).not.toEqual([]);
    expect(get((responses) => (responses['200'] = json({ $ref: '#/components/schemas/Boat' })))).not.toEqual([]);
  });
});

describe('comparer', () => {
  const found = comparer(document());
  const problem = { type: 'about:blank', title: 'Not Found', status: 404, requestId: 'r' };
  const seen = (part: Partial<Answer> = {}): string[] => {
    const text = part.text ?? '{"name":"Argo"}';
    const headers = { 'content-type': 'application/json', etag: '"1"', ...part.headers };
    return found({
      method: 'GET',
      path: '/api/ships/1',
      status: 200,
      ...part,
      headers,
      text,
      bytes: Buffer.from(text),
    });
  };
  const refusal = { 'content-type': 'application/problem+json', 'x-request-id': 'r' };

  test('has nothing to say of answers that are as the document says', () => {
    expect(seen()).toEqual([]);
    expect(seen({ method: 'HEAD', text: '' })).toEqual([]);
    expect(seen({ status: 304, text: '' })).toEqual([]);
    expect(seen({ status: 404, headers: refusal, text: JSON.stringify(problem) })).toEqual([]);
    expect(seen({ path: '/api/boats', status: 404, headers: refusal, text: JSON.stringify(problem) })).toEqual([]);
  });

  test.for<[what: string, part: Partial<Answer>]>([
    ['another body', { text: '{}' }],
    ['no JSON', { text: 'Argo' }],
    ['no body', { text: '' }],
    ['a body for a HEAD', { method: 'HEAD' }],
    ['a body that is not mentioned', { status: 304 }],
    ['another type', { headers: { 'content-type': 'text/html' } }],
    ['no ETag', { headers: { etag: undefined } }],
    ['a status that is not mentioned', { status: 201 }],
    ['success at an unknown path', { path: '/api/boats' }],
    ['success for an unknown method', { method: 'PUT' }],
    ['an error that is no problem', { status: 404 }],
    [
      'an error that calls itself another',
      { status: 404, headers: refusal, text: JSON.stringify({ ...problem, status: 400 }) },
    ],
    [
      'an error of another request',
      { status: 404, headers: { ...refusal, 'x-request-id': 's' }, text: JSON.stringify(problem) },
    ],
    [
      'a 405 without Allow',
      { method: 'PUT', status: 405, headers: refusal, text: JSON.stringify({ ...problem, status: 405 }) },
    ],
  ])('sees %s', ([, part]) => {
    expect(seen(part)).not.toEqual([]);
  });
});
