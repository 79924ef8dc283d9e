import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { comparer, problem, type Answer as Compared } from '@keelson/openapi';
import request, { type Response } from 'supertest';
import { expect, onTestFinished } from 'vitest';
import { descriptionPath } from './openapi.ts';

export type Sent = { headers?: Record<string, string>; json?: unknown; body?: string | Buffer };
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each test knows what it asked for
export type Answer = { status: number; headers: IncomingHttpHeaders; text: string; body: any };
export type LogLine = {
  level: string;
  msg: string;
  requestId?: string;
  status?: number;
  port?: number;
  err?: { stack: string };
};

/** What the OpenAPI document leaves out, because the proxy does not route it. */
const HEALTH = /^\/(healthz|readyz)/;
const INTERNAL = /^\/internal\//;

/**
 * The app on a port of its own, whose every answer is as the OpenAPI document that it serves says. It is asked with this
 * token, where a request has no `authorization` of its own; an empty one sends none.
 */
export async function checkedApi(app: RequestListener, token?: string) {
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, call: await checkedCall(server, token), close: () => void server.close() };
}

async function checkedCall(server: Server, token?: string) {
  const authorization: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const { service } = JSON.parse((await send(server, 'GET', '/healthz')).text);
  const description = await send(server, 'GET', descriptionPath(service));
  const differences = comparer(JSON.parse(description.text));
  return async (method: string, path: string, sent?: Sent): Promise<Answer> => {
    const answer = await send(server, method, path, { ...sent, headers: { ...authorization, ...sent?.headers } });
    const faults = HEALTH.test(path) ? [] : INTERNAL.test(path) ? problem(answer) : differences(answer);
    if (faults.length > 0)
      throw new Error(`${method} ${path} → ${answer.status}: ${faults.join('\n')}\n${answer.text}`);
    const body = answer.headers['content-type']?.includes('json') && answer.text ? JSON.parse(answer.text) : undefined;
    return { ...answer, body };
  };
}

async function send(server: Server, method: string, path: string, { headers = {}, json, body }: Sent = {}) {
  const verb = method.toLowerCase() as 'get';
  const test = request(server)[verb](path).redirects(0).buffer(true).parse(bytesOf);
  if (json !== undefined) test.set('Content-Type', 'application/json');
  const asItIs = (content: unknown) => content as string;
  const response: Response = await test
    .set(headers)
    .serialize(asItIs)
    .send(json === undefined ? body : JSON.stringify(json));
  const bytes: Buffer = response.body instanceof Buffer ? response.body : Buffer.alloc(0);
  return completed({ method, path, status: response.status, headers: response.headers, bytes, text: String(bytes) });
}

function bytesOf(response: unknown, done: (error: Error | null, bytes: Buffer) => void) {
  const chunks: Buffer[] = [];
  (response as NodeJS.ReadableStream)
    .on('data', (chunk) => chunks.push(chunk))
    .on('end', () => done(null, Buffer.concat(chunks)));
}

/** An answer with X-Accel-Redirect gets its body from the proxy. */
function completed(answer: Compared): Compared {
  const isCompleted = answer.method === 'GET' && answer.headers['x-accel-redirect'];
  return isCompleted ? { ...answer, bytes: Buffer.from('from the proxy'), text: 'from the proxy' } : answer;
}

/**
 * A service as it is deployed, until the test ends: a process of its own, on a port of its own, and what it says.
 * @param main the file that it runs
 */
export function startProcess(main: string, environment: Record<string, string>) {
  const child = spawn(process.execPath, [main], { env: { PORT: '0', DRAIN_MS: '0', ...environment } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: LogLine[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (errors += chunk));
  const exited = once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, errors }));
  /** @returns its address, once it listens */
  const listening = async () => {
    const line = () => lines.find(({ msg }) => msg === 'listening');
    await expect.poll(line, { timeout: 10_000 }).toBeTruthy();
    return `http://127.0.0.1:${line()!.port}`;
  };
  return { child, lines, exited, listening };
}

/** What a problem complains of, as `body hiredOn`. */
export const complaints = ({ body }: Answer): string[] =>
  (body.errors ?? []).map((fault: { in: string; name: string }) => `${fault.in} ${fault.name}`.trim());
