import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** The way to a Postgres, which can fail as a network does. */
export async function createNetwork(url: string) {
  const pairs = new Set<[Socket, Socket]>();
  let admits: (startup: string) => boolean = () => true;
  const server = createServer((inbound) => {
    inbound
      .on('error', () => undefined)
      .once('data', (startup) => {
        if (!admits(startup.toString())) return;
        const outbound = connect(Number(new URL(url).port), new URL(url).hostname).on('error', () => undefined);
        outbound.write(startup);
        inbound.pipe(outbound).pipe(inbound);
        const pair: [Socket, Socket] = [inbound, outbound];
        pairs.add(pair);
        inbound.once('close', () => (outbound.destroy(), pairs.delete(pair)));
        outbound.once('close', () => inbound.destroy());
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href,
    /** From now on, a connection whose first message does not fit is never answered. */
    admit: (condition: (startup: string) => boolean) => void (admits = condition),
    /** What is connected now hears nothing any more, not even that the connection ended. */
    swallow() {
      for (const [inbound, outbound] of pairs) {
        inbound.unpipe(outbound);
        outbound.unpipe(inbound);
      }
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const [inbound] of pairs) inbound.destroy();
      }),
  };
}
