import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';

/** As many as a pool has connections, so that all of them are open. */
const AT_ONCE = 10;
/** A process that hardly gets a processor has to begin at some time. */
const LONGEST_MS = 10_000;

/**
 * Asks an app for what can be read of it, again and again, where nobody else can ask it yet, so that its first clients wait
 * less for code that has never run and for database connections that are not open. It writes nothing, so what only writes
 * need stays cold. Its requests are not logged. An id in a path is a random one, and what is answered does not matter: it
 * ends where the app fails (5xx), which is for the health check to find.
 * @returns how many requests were answered
 */
export async function warmUp(app: Express, requests: number): Promise<number> {
  const paths = app.locals['reads'] as string[];
  if (requests === 0 || paths.length === 0) return 0;
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  const signal = AbortSignal.timeout(LONGEST_MS);
  // Good for nothing but this, and for no longer: nobody else can reach this server, or knows it.
  const token = randomBytes(32).toString('hex');
  const headers = { authorization: `Bearer ${token}` };
  let [asked, answered] = [0, 0];

  async function client() {
    while (asked < requests) {
      const path = paths[asked++ % paths.length]!.replaceAll(/\{\w+\}/g, () => randomUUID());
      const [response] = (await once(get({ port, path, headers, agent, signal }), 'response')) as [IncomingMessage];
      await response.resume().toArray();
      if (response.statusCode! >= 500) asked = requests;
      answered++;
    }
  }
  app.locals['warming'] = token;
  await Promise.allSettled(Array.from({ length: AT_ONCE }, client));
  delete app.locals['warming'];
  agent.destroy();
  await new Promise((resolve) => server.close(resolve));
  return answered;
}
