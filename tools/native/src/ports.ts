import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';

export interface Listening {
  port: number;
  /** Stops accepting at once; requests under way have half a second. */
  close(): Promise<void>;
}

const PATIENCE_MS = 500;
const NO_IPV6 = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'];

export async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map((probe) => once(probe, 'listening')));
  const ports = probes.map((probe) => (probe.address() as AddressInfo).port);
  await Promise.all(probes.map((probe) => once(probe.close(), 'close')));
  return ports;
}

/**
 * Listens on both addresses that `localhost` can mean, and on no other: the stack is not for the network.
 * @throws Error with a sentence where the port is taken
 */
export async function listenLocally(server: HttpServer, port: number): Promise<Listening> {
  const v6 = createServer((socket) => server.emit('connection', socket));
  await listen(server, port, '127.0.0.1');
  const chosen = (server.address() as AddressInfo).port;
  try {
    await listen(v6, chosen, '::1');
  } catch (error) {
    if (!NO_IPV6.includes((error as { code: string }).code)) {
      server.close();
      throw error;
    }
  }
  return {
    port: chosen,
    async close() {
      if (v6.listening) v6.close();
      const closed = once(server.close(), 'close');
      const impatient = setTimeout(() => server.closeAllConnections(), PATIENCE_MS);
      await closed;
      clearTimeout(impatient);
    },
  };
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE')
      throw new Error(`port ${port} is taken by another program: stop it, or choose another with PORT=…`);
    if (code === 'EACCES') throw new Error(`port ${port} is not for this user: choose one above 1023 with PORT=…`);
    throw error;
  }
}
