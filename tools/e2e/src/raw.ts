import net from 'node:net';
import tls from 'node:tls';
import { inject } from 'vitest';
import { connection } from './reach.ts';

export type RawAnswer = { statuses: number[]; text: string; closed: boolean };

/** After an answer, this long for what must not come: another one. */
const QUIET_MS = 300;
/** A proxy that waits for more has given up by then. */
const TIMEOUT_MS = 40_000;

/** A connection to the proxy, over TLS where the stack has it, for what no client library would send. */
export function connectRaw(): net.Socket {
  const { protocol, hostname, port } = new URL(inject('baseUrl'));
  if (protocol === 'http:') return net.connect({ host: hostname, port: Number(port || 80) });
  return tls.connect({
    ...connection,
    host: hostname,
    port: Number(port || 443),
    servername: hostname,
    ALPNProtocols: ['http/1.1'],
  });
}

/** Sends the bytes as they are. @returns all that comes back, until the proxy closes or has nothing more to say */
export function sendRaw(bytes: Buffer): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connectRaw();
    const chunks: Buffer[] = [];
    const finish = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      const text = Buffer.concat(chunks).toString('latin1');
      resolve({ statuses: statusesIn(text), text, closed });
    };
    let timer = setTimeout(finish, TIMEOUT_MS, false);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      clearTimeout(timer);
      timer = setTimeout(finish, QUIET_MS, false);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => finish(true));
    socket.write(bytes);
  });
}

/** An answer without a head is one in HTTP/0.9: only its body can tell. */
function statusesIn(text: string): number[] {
  const heads = [...text.matchAll(/HTTP\/1\.[01] (\d{3})\b/g)].map(([, status]) => Number(status));
  return heads.length === 0 && text.startsWith('{') ? [JSON.parse(text).status] : heads;
}
