import { once, EventEmitter } from 'node:events';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';

export type LoadOptions = {
  /** The host that is asked, where its port on this machine is, and who may have issued its certificate. */
  host: string;
  port: number;
  ca: string[];
  /** Requests a second, whether or not the ones before were answered. */
  rate: number;
  /** Every how many requests one comes on a connection of its own; the others share connections that are kept. */
  freshEvery: number;
};

export type Load = ReturnType<typeof startLoad>;

/** GET / over TLS, on and on. */
export function startLoad({ host, port, ca, rate, freshEvery }: LoadOptions) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 30, scheduling: 'fifo', maxCachedSessions: 0 });
  const progress = new EventEmitter();
  const stopping = new AbortController();
  const failures: string[] = [];
  const underWay = new Set<Promise<void>>();
  /** When each connection was made, and the certificate that it was given. */
  const connections = new Map<TLSSocket, { at: number; fingerprint: string }>();
  let answered = 0;

  const ask = (isFresh: boolean) =>
    new Promise<void>((resolve) => {
      const fail = (what: string) => {
        failures.push(`${isFresh ? 'fresh' : 'kept'}: ${what}`);
        resolve();
      };
      const own = { agent: isFresh ? false : agent, servername: host, headers: { host } } as const;
      const request = https.get({ host: '127.0.0.1', port, ca, path: '/', ...own }, (response) => {
        response.resume();
        response.on('error', (error) => fail(error.message));
        response.on('end', () => {
          if (response.statusCode !== 200) return fail(String(response.statusCode));
          answered += 1;
          progress.emit('answer');
          resolve();
        });
      });
      request.on('socket', (socket) => {
        socket.once('secureConnect', () => {
          const { fingerprint256 } = (socket as TLSSocket).getPeerCertificate();
          connections.set(socket as TLSSocket, { at: Date.now(), fingerprint: fingerprint256 });
        });
      });
      request.setTimeout(30_000, () => request.destroy(new Error('no answer within 30 s')));
      request.on('error', (error) => fail(error.message));
    });

  async function run() {
    const start = performance.now();
    for (let sent = 0; !stopping.signal.aborted; sent++) {
      const due = start + (sent * 1000) / rate;
      if (due > performance.now()) await delay(due - performance.now());
      const request = ask(sent % freshEvery === 0).finally(() => underWay.delete(request));
      underWay.add(request);
    }
    await Promise.all(underWay);
    agent.destroy();
  }
  const running = run();

  return {
    /** Resolves when so many more requests were answered. @throws Error when one fails */
    async more(count: number) {
      for (const enough = answered + count; answered < enough;) {
        if (failures.length > 0) throw new Error(`a request failed: ${failures[0]}`);
        await Promise.race([once(progress, 'answer'), delay(30_000)]);
      }
    },
    async stop() {
      stopping.abort();
      await running;
      return { answered, failures, connections: [...connections.values()] };
    },
  };
}
