import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '@keelson/logger';
import { NotTls, serverName } from './client-hello.ts';
import { connectionCounter } from './connection-counter.ts';
import { passOn } from './pass-on.ts';
import type { Proxy } from './proxies.ts';

/** How long a client may take to say which host it wants. */
const HELLO_MS = 10_000;

/** A TLS alert, fatal. */
const alert = (description: number) => Buffer.from([21, 3, 1, 0, 2, 2, description]);
const INTERNAL_ERROR = alert(80);
const UNRECOGNIZED_NAME = alert(112);

export type IngressOptions = {
  proxiesOf: (host: string) => Promise<Proxy[]>;
  /** How many connections there may be, and from one address. */
  connections: number;
  clientConnections: number;
  /** How long to look for a proxy of a host that has some, when none answers. */
  patienceMs: number;
  log: Logger;
};

/** Passes each TLS connection on, as it is, to a proxy of the host that it is for. Never listens. */
export function createIngress({ proxiesOf, connections, clientConnections, patienceMs, log }: IngressOptions): Server {
  const count = connectionCounter();

  /** @returns what became of it, for the log */
  async function serve(client: Socket) {
    const { host, hello } = await readHello(client);
    if (!host || (await proxiesOf(host)).length === 0) {
      client.end(UNRECOGNIZED_NAME);
      return { host, refused: host ? 'no such host' : 'it names no host' };
    }
    const passed = await passOn(client, hello, () => proxiesOf(host), patienceMs);
    if (passed) return { host, proxy: passed.proxy.address, tried: passed.tried };
    if (client.destroyed) return { host, refused: 'it went away' };
    client.end(INTERNAL_ERROR);
    return { host, refused: 'no proxy answers' };
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (client) => {
    const start = performance.now();
    const address = client.remoteAddress;
    client.on('error', () => client.destroy());
    // A client that is gone already has no address.
    if (!address) return void client.destroy();
    const tooMany = count(client, address) > clientConnections;
    const end = (outcome: object) => {
      log.info({
        client: address,
        ...outcome,
        received: client.bytesRead,
        sent: client.bytesWritten,
        seconds: Math.round(performance.now() - start) / 1000,
      });
      client.destroySoon();
    };
    if (tooMany) return end({ refused: 'too many connections' });
    serve(client).then(end, (error: Error) => end({ refused: error.message }));
  });
  server.maxConnections = connections;
  return server;
}

/** @returns the client paused after its hello @throws Error that says why there is none */
function readHello(client: Socket): Promise<{ host: string; hello: Buffer }> {
  return new Promise((resolve, reject) => {
    let hello = Buffer.alloc(0);
    const fail = (reason: string) => () => settle(() => reject(new NotTls(reason)));
    const [late, gone] = [fail('it says nothing'), fail('it went away')];
    const timer = setTimeout(late, HELLO_MS);
    const settle = (act: () => void) => {
      clearTimeout(timer);
      client.off('data', read).off('end', gone).off('close', gone);
      act();
    };
    const read = (chunk: Buffer) => {
      hello = Buffer.concat([hello, chunk]);
      try {
        const host = serverName(hello);
        if (host === undefined) return;
        client.pause();
        settle(() => resolve({ host, hello }));
      } catch (error) {
        settle(() => reject(error));
      }
    };
    client.on('data', read).on('end', gone).on('close', gone);
  });
}
