import http from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer as Seen } from '@keelson/openapi';
import { inject } from 'vitest';
import { connection } from './reach.ts';
import { tokensFrom } from './token.ts';

export type Sent = {
  headers?: Record<string, string>;
  /** Sent as JSON, with its media type unless `headers` names another. */
  json?: unknown;
  /** Sent as it is. */
  body?: string | Buffer;
};

export type Answer = Seen & {
  /** How many times the header came. */
  times: (name: string) => number;
};

const TIMEOUT_MS = 30_000;
const agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };

let token: ReturnType<typeof tokensFrom> | undefined;

/**
 * A request to the proxy, in the name of the first administrator unless it has an `authorization` of its own. Where the
 * proxy asks for patience (429), it comes again after the time that it names.
 */
export async function send(method: string, path: string, sent?: Sent): Promise<Answer> {
  const headers = { ...sent?.headers };
  headers['authorization'] ??= `Bearer ${await (token ??= tokensFrom(inject('tokenCommand')))()}`;
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const answer = await sendOnce(method, path, { ...sent, headers });
    const seconds = Number(answer.headers['retry-after']);
    if (answer.status !== 429 || !(seconds > 0) || Date.now() + seconds * 1000 > deadline) return answer;
    await delay(seconds * 1000);
  }
}

/**
 * One request, byte for byte as a client may send it. `fetch` is no help here: it resolves `..` in paths,
 * merges headers that came twice and refuses much of what a hostile client sends.
 */
function sendOnce(method: string, path: string, { headers, json, body }: Sent = {}): Promise<Answer> {
  const url = new URL(inject('baseUrl'));
  const secure = url.protocol === 'https:';
  const content = json === undefined ? body : JSON.stringify(json);
  const type = json === undefined ? {} : { 'content-type': 'application/json' };
  const length =
    content === undefined || headers?.['transfer-encoding'] ? {} : { 'content-length': Buffer.byteLength(content) };
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new Error(`${method} ${path.slice(0, 200)}: ${error.message}`, { cause: error }));
    const request = (secure ? https : http).request(url, {
      ...connection,
      agent: agents[secure ? 'https:' : 'http:'],
      servername: url.hostname, // whatever the header says
      method,
      headers: { ...type, ...length, ...headers },
      timeout: TIMEOUT_MS,
    });
    // Set behind its back, because `http` refuses what a client must not send in a path.
    Object.defineProperty(request, 'path', { value: path });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    request.on('error', fail);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => resolve(answer(method, path, response, Buffer.concat(chunks))));
    });
    request.end(content);
  });
}

function answer(method: string, path: string, response: http.IncomingMessage, bytes: Buffer): Answer {
  const names = response.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  return {
    method,
    path,
    status: response.statusCode!,
    headers: response.headers,
    times: (name) => names.filter((other) => other === name).length,
    bytes,
    text: bytes.toString(),
  };
}
