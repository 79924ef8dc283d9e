import express, { type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import { Problem, type Fault } from './problem.ts';

const BODY_LIMIT = '100kb';

type Schema = z.ZodType | undefined;
type Output<T extends Schema> = T extends z.ZodType ? z.output<T> : undefined;

export type Answer = { description: string; schema?: z.ZodType; contentType?: string; headers?: z.ZodObject };

type Described<P, Q, H, B> = {
  method: 'get' | 'post' | 'patch' | 'put' | 'delete';
  /** As OpenAPI writes it: /api/v1/workers/{id} */
  path: string;
  summary: string;
  params?: P;
  query?: Q;
  headers?: H;
  body?: B;
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
  const handlers = spec.body ? [requireJson, express.json({ limit: BODY_LIMIT }), run] : [run];
  return { ...described, handlers } as Operation;
}

function parse(schema: Schema, value: unknown, where: Fault['in'], faults: Fault[]) {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value);
  for (const issue of parsed.error?.issues ?? []) {
    const names = issue.code === 'unrecognized_keys' ? issue.keys : [''];
    for (const name of names)
      faults.push({
        in: where,
        name: [...issue.path.map(String), name].filter(Boolean).join('.'),
        detail: detail(issue),
      });
  }
  return parsed.data;
}

const detail = (issue: z.core.$ZodIssue) => (issue.code === 'unrecognized_keys' ? 'is not known here' : issue.message);

const hasContent = (req: Request) =>
  req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;

const requireJson: RequestHandler = (req, _res, next) => {
  if (hasContent(req) && !req.is('application/json'))
    throw new Problem(415, 'The body must be JSON: send it with Content-Type: application/json.');
  next();
};
