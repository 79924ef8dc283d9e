import { STATUS_CODES } from 'node:http';
import { createDocument, type ZodOpenApiPathsObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import { z } from 'zod';
import type { Answer, Operation } from './operation.ts';
import { ProblemBody } from './problem.ts';

/** What any operation may answer, through the proxy too. */
const ALWAYS = [429, 500, 502, 503, 504];
/** `If-None-Match: *` asks for nothing that is there, whether it has an ETag or not (RFC 9110, 13.1.2). */
const NOT_CHANGED = { 304: { description: 'Not changed since If-None-Match' } };

/** Where the proxy routes the OpenAPI document of a service. */
export const descriptionPath = (service: string) => `/api/v1/openapi/${service}.json`;

/** The OpenAPI 3.1 document of these operations. */
export function openApiDocument(title: string, version: string, operations: Operation[]) {
  const paths: ZodOpenApiPathsObject = {};
  for (const operation of operations) {
    const { method, path, summary, params, query, headers, body } = operation;
    paths[path] = {
      ...paths[path],
      [method]: {
        summary,
        requestParams: {
          ...(params ? { path: params } : {}),
          ...(query ? { query } : {}),
          ...(headers ? { header: headers } : {}),
        },
        ...(body ? { requestBody: requestBody(body) } : {}),
        responses: { ...answers(operation), ...problems(operation) } as ZodOpenApiResponsesObject,
      },
    };
  }
  return createDocument({ openapi: '3.1.1', info: { title, version }, paths });
}

/** No body counts as {}: where that is valid, the body may be left out. */
const requestBody = (schema: z.ZodType) => ({
  required: !schema.safeParse({}).success,
  content: { 'application/json': { schema } },
});

function answers({ method, answers }: Operation) {
  const all: Record<string, Answer> = { ...(method === 'get' ? NOT_CHANGED : {}), ...answers };
  return Object.fromEntries(
    Object.entries(all).map(([status, { description, schema, contentType = 'application/json', headers }]) => [
      status,
      { description, headers, ...(schema ? { content: { [contentType]: { schema } } } : {}) },
    ]),
  );
}

function problems({ params, query, headers, body, problems = [] }: Operation) {
  const ofParameters = params || query || headers ? [400] : [];
  const ofBody = body ? [400, 413, 415, 422] : [];
  const statuses = new Set([...problems, ...ofParameters, ...ofBody, ...ALWAYS]);
  return Object.fromEntries([...statuses].map((status) => [status, PROBLEMS[status]]));
}

/** One for each status, which the document has once and refers to. */
const PROBLEMS = Object.fromEntries(
  Object.entries(STATUS_CODES).map(([status, title]) => [
    Number(status),
    {
      id: title!.replaceAll(/\W/g, ''),
      description: title!,
      content: { 'application/problem+json': { schema: ProblemBody } },
      ...(status === '503' ? { headers: z.object({ 'Retry-After': z.string().optional() }) } : {}),
    },
  ]),
);
