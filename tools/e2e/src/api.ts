import { comparer, problem, type OpenApi } from '@keelson/openapi';
import { send, type Answer, type Sent } from './http.ts';
import { remember } from './made.ts';

/** The stack's own account of its API. */
export async function openApi(): Promise<OpenApi> {
  const { status, text } = await send('GET', '/api/v1/openapi.json');
  if (status !== 200) throw new Error(`GET /api/v1/openapi.json answered ${status}: ${text}`);
  return JSON.parse(text) as OpenApi;
}

let compare: Promise<ReturnType<typeof comparer>> | undefined;

/** A request to the API, whose answer is as the stack's OpenAPI document says: anything else fails the test. */
export async function call(method: string, path: string, sent?: Sent): Promise<Answer> {
  compare ??= openApi().then(comparer);
  const differences = await compare;
  const answer = await send(method, path, sent);
  remember(answer);
  refuse(answer, differences(answer));
  return answer;
}

/** A request that the proxy itself may answer: of an error only its form is known. */
export async function knock(method: string, path: string, sent?: Sent): Promise<Answer> {
  const answer = await send(method, path, sent);
  remember(answer);
  refuse(answer, problem(answer));
  return answer;
}

function refuse({ method, path, status, headers, text }: Answer, faults: string[]) {
  if (!headers['x-request-id']) faults.push('lacks the header X-Request-Id');
  if (faults.length === 0) return;
  const what = `${method} ${path.slice(0, 200)} → ${status}`;
  throw new Error([what, ...faults.map((fault) => `  ${fault}`), `  body: ${text.slice(0, 500)}`].join('\n'));
}

export const json = <T>(answer: Answer) => JSON.parse(answer.text) as T;

export type Fault = { in: string; name: string; detail: string };

/** The parts of the request that a problem complains of, as `body hiredOn`. */
export const complaints = (answer: Answer) =>
  (json<{ errors?: Fault[] }>(answer).errors ?? []).map((fault) => `${fault.in} ${fault.name}`.trim());
