import { isUtf8 } from 'node:buffer';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import type { Access } from './authorize.ts';
import { Problem, type Fault } from './problem.ts';

const parseForm = express.urlencoded({ extended: false, limit: '100kb' });
const parseJson = express.json({
  limit: '100kb',
  strict: false,
  // What is not UTF-8 would be stored as something else than was sent.
  verify: (_req, _res, body, encoding) => {
    if (encoding === 'utf-8' && !isUtf8(body)) throw Object.assign(new Error('it is not UTF-8'), { status: 400 });
  },
});

export const JSON_TYPE = { type: 'application/json', name: 'JSON' };
export const FORM = { type: 'application/x-www-form-urlencoded', name: 'a form' };

type Schema = z.ZodType | undefined;
type Output<T extends Schema> = T extends z.ZodType ? z.output<T> : undefined;

export type Answer = { description: string; schema?: z.ZodType; contentType?: string; headers?: z.ZodObject };

type Described<P, Q, H, B> = {
  method: 'get' | 'post' | 'patch' | 'put' | 'delete';
  /** As OpenAPI writes it: /api/v1/workers/{id} */
  path: string;
  summary: string;
  /** Who may use it; `public` is said, never meant by silence. */
  access: Access;
  params?: P;
  query?: Q;
  headers?: H;
  body?: B;
  /** The body comes as a form (application/x-www-form-urlencoded), not as JSON. */
  form?: boolean;
  /** Answers that are no problem, by status. */
  answers: Record<number, Answer>;
  /** Statuses of the problems that only this operation has; those that its schemas imply are added. */
  problems?: number[];
};

export type Operation = Described<z.ZodObject, z.ZodObject, z.ZodObject, z.ZodType> & { handlers: RequestHandler[] };

type Input<P extends Schema, Q extends Schema, H extends Schema, B extends Schema> = {
  params: Output<P>;
  query: Output<Q>;
  headers: Output<H>;
  body: Output<B>;
  req: Request;
  res: Response;
};

/**
 * One operation of an API: what it takes, what it answers and what it does. Its schemas check each request (400 for
 * parameters, 422 for a body) and describe the operation in the OpenAPI document, so the two cannot disagree.
 */
export function operation<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  H extends z.ZodObject | undefined = undefined,
  B extends Schema = undefined,
>(spec: Described<P, Q, H, B> & { handle: (input: Input<P, Q, H, B>) => unknown }): Operation {
  const { handle, ...described } = spec;
  const run: RequestHandler = async (req, res) => {
    const faults: Fault[] = [];
    const params = parse(spec.params, req.params, 'path', faults);
    const query = parse(spec.query, req.query, 'query', faults);
    const headers = parse(spec.headers, req.headers, 'header', faults);
    if (faults.length > 0) throw new Problem(400, 'Some parameters of the request are not valid.', { errors: faults });
    const body = parse(spec.body, hasContent(req) ? req.body : {}, 'body', faults);
    if (faults.length > 0) throw new Problem(422, 'Some fields of the body are not valid.', { errors: faults });
    await handle({ params, query, headers, body, req, res } as Input<P, Q, H, B>);
  };
  const parsing = spec.form ? [require(FORM), parseForm] : [require(JSON_TYPE), parseJson];
  const handlers = spec.body ? [...parsing, run] : [run];
  return { ...described, handlers } as Operation;
}

/** The value as the schema has it. What is wrong goes to `faults`, once for each field. */
function parse(schema: Schema, value: unknown, where: Fault['in'], faults: Fault[]) {
  const parsed = schema?.safeParse(value);
  const found = new Map<string, string>();
  for (const issue of parsed?.error?.issues ?? [])
    for (const [name, detail] of told(issue)) if (!found.has(name)) found.set(name, detail);
  for (const [name, detail] of found) faults.push({ in: where, name, detail });
  return parsed?.data;
}

function told(issue: z.core.$ZodIssue): [name: string, detail: string][] {
  if (issue.code !== 'unrecognized_keys') return [[issue.path.join('.'), issue.message]];
  return issue.keys.map((key) => [[...issue.path, key].join('.'), 'is not known here']);
}

const hasContent = (req: Request) =>
  req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;

const require =
  ({ type, name }: { type: string; name: string }): RequestHandler =>
  (req, _res, next) => {
    if (hasContent(req) && !req.is(type))
      throw new Problem(415, `The body must be ${name}: send it with Content-Type: ${type}.`);
    next();
  };
