import { STATUS_CODES } from 'node:http';
import { createDocument, type ZodOpenApiPathsObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import { z } from 'zod';
import { FORM, JSON_TYPE, type Answer, type Operation } from './operation.ts';
import { ProblemBody } from './problem.ts';

/** What any operation may answer, through the proxy too. */
const ALWAYS = [429, 500, 502, 503, 504];
/** `If-None-Match: *` asks for nothing that is there, whether it has an ETag or not (RFC 9110, 13.1.2). */
const NOT_CHANGED = { 304: { description: 'Not changed since If-None-Match' } };

/** A requirement of it names the scope that the token must have. */
const ACCESS_TOKEN = { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } as const;

/** Where the proxy routes the OpenAPI document of a service. */
export const descriptionPath = (service: string) => `/api/v1/openapi/${service}.json`;

/** The OpenAPI 3.1 document of these operations. */
export function openApiDocument(title: string, version: string, operations: Operation[]) {
  const paths: ZodOpenApiPathsObject = {};
  for (const operation of operations) {
    const { method, path, summary, access, params, query, headers, body, form } = operation;
    paths[path] = {
      ...paths[path],
      [method]: {
        summary,
        security: access === 'public' ? [] : [{ accessToken: [access] }],
        requestParams: {
          ...(params ? { path: params } : {}),
          ...(query ? { query } : {}),
          ...(headers ? { header: headers } : {}),
        },
        ...(body ? { requestBody: requestBody(body, form ? FORM.type : JSON_TYPE.type) } : {}),
        responses: { ...answers(operation), ...problems(operation) } as ZodOpenApiResponsesObject,
      },
    };
  }
  const components = { securitySchemes: { accessToken: ACCESS_TOKEN } };
  return createDocument({ openapi: '3.1.1', info: { title, version }, components, paths });
}

/** No body counts as {}: where that is valid, the body may be left out. */
const requestBody = (schema: z.ZodType, type: string) => ({
  required: !schema.safeParse({}).success,
  content: { [type]: { schema } },
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

function problems({ access, params, query, headers, body, problems = [] }: Operation) {
  const ofAccess = access === 'public' ? [] : [401, 403];
  const ofParameters = params || query || headers ? [400] : [];
  const ofBody = body ? [400, 413, 415, 422] : [];
  const statuses = new Set([...problems, ...ofAccess, ...ofParameters, ...ofBody, ...ALWAYS]);
  return Object.fromEntries([...statuses].map((status) => [status, PROBLEMS[status]]));
}

const HEADERS: Record<string, z.ZodObject> = {
  401: z.object({ 'WWW-Authenticate': z.string() }),
  503: z.object({ 'Retry-After': z.string().optional() }),
};

/** One for each status, which the document has once and refers to. */
const PROBLEMS = Object.fromEntries(
  Object.entries(STATUS_CODES).map(([status, title]) => [
    Number(status),
    {
      id: title!.replaceAll(/\W/g, ''),
      description: title!,
      content: { 'application/problem+json': { schema: ProblemBody } },
      ...(status in HEADERS ? { headers: HEADERS[status] } : {}),
    },
  ]),
);
