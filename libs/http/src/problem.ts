import { STATUS_CODES } from 'node:http';
import { z } from 'zod';

/** One thing that is wrong with a request, and where. */
export const Fault = z.object({
  in: z.enum(['body', 'path', 'query', 'header']),
  name: z.string().meta({ description: 'The field, dotted where it is nested; empty for the whole body.' }),
  detail: z.string(),
});
export type Fault = z.infer<typeof Fault>;

/** The body of every error (RFC 9457), as application/problem+json. */
export const ProblemBody = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    requestId: z.string(),
    errors: z.array(Fault).optional(),
    error: z.string().optional().meta({ description: 'What an OAuth client looks for (RFC 6749, 5.2)' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details' });

/** An error that a client is told about: throw it anywhere in a handler. */
export class Problem extends Error {
  readonly status: number;
  readonly errors: Fault[] | undefined;
  readonly error: string | undefined;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    detail: string,
    { errors, error, headers = {} }: { errors?: Fault[]; error?: string; headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.status = status;
    this.errors = errors;
    this.error = error;
    this.headers = headers;
  }

  /** What is sent. A 5xx says nothing but the id under which the log knows more, except for 503: come back later. */
  body(requestId: string): z.infer<typeof ProblemBody> {
    const told = this.status < 500 || this.status === 503;
    return {
      type: 'about:blank',
      title: STATUS_CODES[this.status] ?? 'Error',
      status: this.status,
      ...(told ? { detail: this.message } : {}),
      requestId,
      ...(this.errors ? { errors: this.errors } : {}),
      ...(this.error ? { error: this.error } : {}),
    };
  }
}

export const notFound = (what: string) => new Problem(404, `There is no such ${what}.`);
export const unavailable = () =>
  new Problem(503, 'The service gets no answer from its database in time. Try again in a moment.', {
    headers: { 'Retry-After': '2' },
  });
