import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { IncomingHttpHeaders } from 'node:http';

/** An answer as it came: `path` with its query, `headers` by their names in lower case. */
export type Answer = {
  method: string;
  path: string;
  status: number;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  text: string;
};

type Media = { schema?: object };
type Header = { required?: boolean; schema?: object };
type Response = { $ref?: string; headers?: Record<string, Header>; content?: Record<string, Media> };
type Operation = { responses: Record<string, Response> };
export type OpenApi = { openapi: string; paths: Record<string, Record<string, Operation>> };

const METHODS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']);

/** RFC 9457, with the request id that Keelson adds. */
const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'requestId'],
  properties: {
    type: { type: 'string', format: 'uri-reference' },
    title: { type: 'string', minLength: 1 },
    status: { type: 'integer' },
    detail: { type: 'string', minLength: 1 },
    requestId: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' },
  },
};

function schemas() {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  ajv.addFormat('media-range', true); // of the schema of OpenAPI; ajv-formats lacks it
  return ajv;
}

const told = (errors: ErrorObject[] | null | undefined) =>
  (errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
  );

/** What is wrong with a document that claims to be OpenAPI 3.1: nothing, when the list is empty. */
export function faultsOf(document: OpenApi): string[] {
  const ajv = schemas();
  const read = readFileSync(new URL('openapi-3.1.schema.json', import.meta.url), 'utf8');
  const isOpenApi = ajv.compile(JSON.parse(read));
  if (!isOpenApi(document)) return told(isOpenApi.errors);
  const faults: string[] = [];
  ajv.addSchema(document, 'openapi', false, false);
  for (const pointer of schemaPointers(document)) {
    try {
      if (!ajv.validateSchema(at(document, pointer) as object))
        faults.push(...told(ajv.errors).map((fault) => `${pointer}: ${fault}`));
      else ajv.compile({ $ref: `openapi#${pointer}` });
    } catch (error) {
      faults.push(`${pointer}: ${(error as Error).message}`);
    }
  }
  return faults;
}

/** Where the document holds schemas: under every key `schema`, and in components/schemas. */
function schemaPointers(value: unknown, pointer = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return key === 'schema' || pointer === '/components/schemas' ? [here] : schemaPointers(inner, here);
  });
}

function at(document: object, pointer: string): unknown {
  const keys = pointer.replace(/^#/, '').split('/').slice(1);
  return keys.reduce<unknown>(
    (value, key) => (value as Record<string, unknown>)[key.replaceAll('~1', '/').replaceAll('~0', '~')],
    document,
  );
}

/** Compares answers with what the document says of them: a list of differences for each, empty where it is as said. */
export function comparer(document: OpenApi): (answer: Answer) => string[] {
  const ajv = schemas();
  ajv.addSchema(document, 'openapi', false, false);
  const compiled = new Map<string, ValidateFunction>();
  const check = (pointer: string, value: unknown) => {
    const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `openapi#${pointer}` });
    compiled.set(pointer, validate);
    return validate(value) ? [] : told(validate.errors).map((fault) => `differs from ${pointer}: ${fault}`);
  };
  const templates = Object.keys(document.paths).map((template) => ({
    template,
    matches: new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}/?$`),
  }));

  return (answer) => {
    const path = answer.path.split('?')[0]!;
    const template = templates.find(({ matches }) => matches.test(path))?.template;
    if (!template) return expectProblem(answer, 404);
    const methods = document.paths[template]!;
    const method = answer.method.toLowerCase();
    const name =
      METHODS.has(method) && methods[method] ? method : method === 'head' && methods['get'] ? 'get' : undefined;
    if (!name) return expectProblem(answer, 405);
    const { responses } = methods[name]!;
    const status = [String(answer.status), `${String(answer.status)[0]}XX`, 'default'].find((key) => responses[key]);
    if (!status) return [`answered ${answer.status}, of which the document knows nothing`];
    let pointer = `/paths/${template.replaceAll('/', '~1')}/${name}/responses/${status}`;
    let response = responses[status]!;
    if (response.$ref) {
      pointer = response.$ref.slice(1);
      response = at(document, pointer) as Response;
    }
    return [...headers(answer, response, pointer), ...body(answer, response, pointer), ...problem(answer)];
  };

  function headers(answer: Answer, response: Response, pointer: string) {
    return Object.entries(response.headers ?? {}).flatMap(([name, header]) => {
      const value = answer.headers[name.toLowerCase()];
      if (value === undefined) return header.required ? [`lacks the header ${name}`] : [];
      return header.schema ? check(`${pointer}/headers/${name}/schema`, typed(header.schema, String(value))) : [];
    });
  }

  function body(answer: Answer, response: Response, pointer: string) {
    const empty = answer.bytes.length === 0;
    if (answer.method === 'HEAD') return empty ? [] : ['has a body, though it answers a HEAD'];
    const content = response.content ?? {};
    if (Object.keys(content).length === 0) return empty ? [] : ['has a body, of which the document knows nothing'];
    if (empty) return ['has no body, though the document has one'];
    const sent = answer.headers['content-type'] ?? '';
    const type = Object.keys(content).find((key) => bare(key) === bare(sent));
    if (!type) return [`is ${sent}, where the document has ${Object.keys(content).join(', ')}`];
    if (!content[type]!.schema) return [];
    const schema = `${pointer}/content/${type.replaceAll('/', '~1')}/schema`;
    return /[/+]json$/.test(bare(sent)) ? checkJson(schema, answer.text) : check(schema, answer.text);
  }

  function checkJson(schema: string, text: string) {
    try {
      return check(schema, JSON.parse(text));
    } catch (error) {
      return [`is not JSON: ${(error as Error).message}`];
    }
  }
}

const bare = (type: string) => type.split(';')[0]!.trim().toLowerCase();

/** A header is text: where its schema wants a number or a boolean, it is read as one. */
function typed(schema: object, value: string): unknown {
  const { type } = schema as { type?: string };
  if (type === 'integer' || type === 'number') return Number(value);
  return type === 'boolean' ? value === 'true' : value;
}

function expectProblem(answer: Answer, status: number): string[] {
  const wrong = answer.status === status ? [] : [`answered ${answer.status} instead of ${status}`];
  return [...wrong, ...problem(answer)];
}

const isProblem = schemas().compile(PROBLEM);

/** What is wrong with an answer as an error: any error is a problem+json that tells its status and its request id. */
export function problem(answer: Answer): string[] {
  if (answer.status < 400 || answer.method === 'HEAD') return [];
  if (bare(answer.headers['content-type'] ?? '') !== 'application/problem+json')
    return [`${answer.status} is ${answer.headers['content-type']} instead of application/problem+json`];
  const body = JSON.parse(answer.text);
  if (!isProblem(body)) return told(isProblem.errors);
  const faults = [];
  if (body.status !== answer.status) faults.push(`${answer.status} calls itself ${body.status}`);
  const id = answer.headers['x-request-id'];
  if (body.requestId !== id) faults.push(`names request ${body.requestId}, its header ${id}`);
  if (answer.status === 405 && !answer.headers['allow']) faults.push('405 lacks the header Allow');
  return faults;
}
