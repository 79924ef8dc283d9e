import { createDocument, type ZodOpenApiPathsObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import { STATUS_CODES } from 'node:http';
import type { Operation } from './operation.ts';
import { ProblemBody } from './problem.ts';

/** What any operation may answer, through the proxy too. */
const ALWAYS = [429, 500, 502, 503, 504];

/** The OpenAPI 3.1 document of these operations. */
export function openApiDocument(title: string, version: string, operations: Operation[]) {
  const paths: ZodOpenApiPathsObject = {};
  for (const operation of operations)
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method]: {
        summary: operation.summary,
        requestParams: {
          ...(operation.params ? { path: operation.params } : {}),
          ...(operation.query ? { query: operation.query } : {}),
          ...(operation.headers ? { header: operation.headers } : {}),
        },
        ...(operation.body ? { requestBody: { content: { 'application/json': { schema: operation.body } } } } : {}),
        responses: responses(operation),
      },
    };
  return createDocument({ openapi: '3.1.1', info: { title, version }, paths });
}

function responses(operation: Operation) {
  const result: Record<string, unknown> = {};
  for (const [status, { description, schema, contentType = 'application/json', headers }] of Object.entries(
    operation.answers,
  ))
    result[status] = { description, headers, ...(schema ? { content: { [contentType]: { schema } } } : {}) };
  const implied = operation.body ? [400, 413, 415, 422] : [];
  const parameters = operation.params || operation.query || operation.headers ? [400] : [];
  for (const status of new Set([...(operation.problems ?? []), ...implied, ...parameters, ...ALWAYS]))
    result[status] = {
      description: STATUS_CODES[status],
      content: { 'application/problem+json': { schema: ProblemBody } },
    };
  return result as ZodOpenApiResponsesObject;
}
