import fc, { type Arbitrary } from 'fast-check';

type Schema = {
  $ref?: string;
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
};
type Parameter = { name: string; in: string; required?: boolean; schema: Schema };
type Operation = { parameters?: Parameter[]; requestBody?: { content: Record<string, { schema: Schema }> } };

/** What of an OpenAPI document requests are made of. */
export type Document = {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
};

export type Fuzzed = {
  method: string;
  template: string;
  path: Record<string, string>;
  query: [name: string, value: string][];
  headers: Record<string, string>;
  /** The media type of the body. */
  type: string;
  body: string | undefined;
};

const LONG = [0, 1, 99, 100, 101, 199, 200, 201, 254, 255, 256, 320, 3000].map((length) => 'x'.repeat(length));
const ODD = [
  '\0',
  ' ',
  '\n',
  '%',
  '%00',
  '..',
  '.',
  '/',
  '\\',
  "'",
  '"',
  '\ud800',
  '\u202e',
  '船',
  '🚢',
  'ﬀ',
  '-0',
  '1e999',
];
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.constantFrom(...LONG, ...ODD));
const anyNumber = fc.constantFrom(0, -1, 0.5, 201, 2 ** 31, 2 ** 53, -(2 ** 63), 1e21, 1e308, 5e-324);
const anything = fc.oneof(anyText, anyNumber, fc.jsonValue({ maxDepth: 3 }));
/** Of what a header may hold: ASCII that prints, and the upper half of Latin-1. */
const headerLetters = Array.from({ length: 0xe0 }, (_, index) => String.fromCharCode(index + 0x20)).filter((letter) =>
  /[^\x7f-\x9f]/.test(letter),
);
const headerText = fc.string({ unit: fc.constantFrom(...headerLetters), maxLength: 300 });
/** Where a request goes wrong often, little of it is ever looked at. */
const mostly = <T>(valid: Arbitrary<T>, wild: Arbitrary<T>) =>
  fc.oneof({ arbitrary: valid, weight: 3 }, { arbitrary: wild, weight: 1 });

/** Requests for each operation of a document: as it wants them, and wrong in one or more places. */
export function fuzzedRequests(document: Document): { name: string; requests: Arbitrary<Fuzzed> }[] {
  return Object.entries(document.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${template}`,
      requests: requestsFor(document, method.toUpperCase(), template, operation),
    })),
  );
}

function requestsFor(document: Document, method: string, template: string, operation: Operation): Arbitrary<Fuzzed> {
  const named = (where: string, wild: Arbitrary<string>): Arbitrary<Record<string, string>> => {
    const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === where);
    const pairs = parameters.map(({ name, required, schema }) => {
      const pair = mostly(asText(valueOf(document, schema)), wild).map((text): [string, string] => [name, text]);
      return required ? pair : fc.option(pair, { nil: undefined });
    });
    return fc.tuple(...pairs).map((some) => Object.fromEntries(some.filter((pair) => pair !== undefined)));
  };
  const more: Arbitrary<[string, string][]> = fc.array(fc.tuple(anyText, anyText), { maxLength: 2 });
  const query = fc
    .tuple(named('query', anyText), mostly(fc.constant<[string, string][]>([]), more))
    .map(([known, unknown]) => [...Object.entries(known), ...unknown] as [string, string][]);
  const headers = fc.record({
    known: named('header', headerText).map(inHeaders),
    unknown: mostly(
      fc.constant({}),
      fc.dictionary(fc.constantFrom('if-match', 'if-none-match', 'range', 'accept', 'x-user-id', 'x-odd'), headerText),
    ),
  });
  const [type = JSON_TYPE, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  return fc.record({
    method: fc.constant(method),
    template: fc.constant(template),
    path: named('path', anyText),
    query,
    headers: headers.map(({ known, unknown }) => ({ ...unknown, ...known })),
    type: fc.constant(type),
    body: media ? bodies(document, media.schema).map(type === JSON_TYPE ? same : asForm) : fc.constant(undefined),
  });
}

const JSON_TYPE = 'application/json';
const same = (json: string | undefined) => json;

/** The fields of a JSON object as a form has them; what is none stays as it is. */
function asForm(json: string | undefined) {
  try {
    const fields = Object.entries(JSON.parse(json ?? '')).map(([name, value]): [string, string] => [
      name,
      String(value),
    ]);
    return new URLSearchParams(fields).toString();
  } catch {
    return json;
  }
}

function bodies(document: Document, schema: Schema): Arbitrary<string | undefined> {
  const valid = valueOf(document, schema);
  const fields = Object.keys(resolved(document, schema).properties ?? {});
  const changed = fc
    .tuple(
      valid,
      fc.array(
        fc.tuple(fc.constantFrom(...fields, 'id', 'extra', '__proto__'), fc.option(anything, { nil: undefined })),
        { minLength: 1, maxLength: 3 },
      ),
    )
    .map(([value, changes]) => Object.assign(Object.create(null), value, Object.fromEntries(changes)));
  const broken = fc.tuple(valid, fc.nat(40)).map(([value, at]) => JSON.stringify(value).slice(0, at));
  return fc.oneof(
    { arbitrary: valid.map((value) => JSON.stringify(value)), weight: 4 },
    { arbitrary: changed.map((value) => JSON.stringify(value)), weight: 4 },
    { arbitrary: anything.map((value) => JSON.stringify(value)), weight: 1 },
    { arbitrary: broken, weight: 1 },
    { arbitrary: fc.constant(undefined), weight: 1 },
  );
}

/** A schema may allow what a header cannot hold. */
const inHeaders = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, text.replaceAll(/[^ -~\xa0-\xff]/g, '')]));

const asText = (values: Arbitrary<unknown>) =>
  values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));

function resolved(document: Document, schema: Schema): Schema {
  return schema.$ref ? resolved(document, document.components!.schemas![schema.$ref.split('/').at(-1)!]!) : schema;
}

/** Values that a schema allows. */
function valueOf(document: Document, given: Schema): Arbitrary<unknown> {
  const schema = resolved(document, given);
  const choices = schema.anyOf ?? schema.oneOf;
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (choices) return fc.oneof(...choices.map((choice) => valueOf(document, choice)));
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map((type) => valueOf(document, { ...schema, type })));
  switch (schema.type) {
    case 'string':
      return textOf(schema);
    case 'integer':
      return fc.integer({
        min: Math.max(schema.minimum ?? -1000, -(2 ** 31)),
        max: Math.min(schema.maximum ?? 1000, 2 ** 31 - 1),
      });
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valueOf(document, schema.items ?? {}), { maxLength: 5 });
    case 'object': {
      const properties = Object.entries(schema.properties ?? {}).map(([name, inner]) => [
        name,
        valueOf(document, inner),
      ]);
      return fc.record(Object.fromEntries(properties), { requiredKeys: (schema.required ?? []) as never[] });
    }
    default:
      return anything;
  }
}

function textOf({ pattern = '', ...schema }: Schema): Arbitrary<string> {
  const matches = new RegExp(pattern, 'u');
  return formatted(schema).filter((text) => matches.test(text));
}

function formatted({ format, minLength = 0, maxLength = 100 }: Schema): Arbitrary<string> {
  if (format === 'uuid') return fc.uuid();
  if (format === 'email') return fc.emailAddress();
  if (format === 'date')
    return fc
      .date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10));
  const length = { minLength, maxLength: Math.min(maxLength, 300) };
  // Half of it plain, so that a pattern is met soon.
  return fc.oneof(fc.string({ unit: 'grapheme-ascii', ...length }), fc.string({ unit: 'grapheme', ...length }));
}
