import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Proxy } from './proxies.ts';

/** How long a proxy may take to accept a connection, and then to say its first word. */
const CONNECT_MS = 1000;
const ANSWER_MS = 10_000;
/** A proxy that starts anew is not there for a moment. */
const PAUSE_MS = 200;
/** How long a connection may be silent: proxies give up far sooner. */
const IDLE_MS = 600_000;
/** How long a client may take to close, after its proxy has. */
const LINGER_MS = 10_000;

/**
 * Connects a client to the first of the proxies that answers its hello. One that ends may have let the connection in and
 * drop it all the same: as long as nothing came back, the hello can go to the next one, and the client sees nothing of it.
 * @param client paused, with nothing read from it but `hello`
 * @param find the proxies as they are at that moment, in the order in which to try them
 * @param patienceMs how long to go on looking for one that answers
 * @returns which proxy it was, once both connections are closed; undefined where none answered, or the client left
 */
export async function passOn(client: Socket, hello: Buffer, find: () => Promise<Proxy[]>, patienceMs: number) {
  const opening = Buffer.concat([proxyHeader(client), hello]);
  const deadline = performance.now() + patienceMs;
  const gone = new AbortController();
  const leave = () => gone.abort();
  client.once('close', leave);
  for (let tried = 0; ; await delay(PAUSE_MS)) {
    for (const proxy of await find()) {
      if (client.destroyed) return undefined;
      tried += 1;
      const answered = await ask(proxy, opening, gone.signal);
      if (!answered) continue;
      client.off('close', leave);
      await join(client, answered.connection, answered.first);
      return { proxy, tried };
    }
    if (client.destroyed || performance.now() > deadline) return undefined;
  }
}

/** Who the client is, in the words of the PROXY protocol, version 1. */
function proxyHeader({ remoteAddress, localAddress, remotePort, localPort }: Socket): Buffer {
  return Buffer.from(`PROXY TCP4 ${remoteAddress} ${localAddress} ${remotePort} ${localPort}\r\n`);
}

type Answered = { connection: Socket; first: Buffer };

function ask({ address, port }: Proxy, opening: Buffer, signal: AbortSignal): Promise<Answered | undefined> {
  return new Promise((resolve) => {
    const connection = connect({ host: address, port, signal, allowHalfOpen: true, noDelay: true });
    let timer: NodeJS.Timeout;
    const wait = (ms: number, isOver: () => boolean) => {
      clearTimeout(timer);
      // Where this process had no time itself, what it waits for may have come: that is looked at first.
      timer = setTimeout(() => setImmediate(() => isOver() || giveUp()), ms);
    };
    const giveUp = () => {
      clearTimeout(timer);
      connection.destroy();
      resolve(undefined);
    };
    wait(CONNECT_MS, () => !connection.connecting);
    connection.on('error', giveUp);
    connection.once('end', giveUp);
    connection.once('connect', () => {
      wait(ANSWER_MS, () => connection.bytesRead > 0);
      connection.write(opening);
    });
    connection.once('data', (first) => {
      clearTimeout(timer);
      connection.pause();
      connection.off('error', giveUp);
      connection.off('end', giveUp);
      resolve({ connection, first });
    });
  });
}

/** Passes everything on, in both directions, until both are closed. */
function join(client: Socket, connection: Socket, first: Buffer): Promise<void> {
  client.write(first);
  client.pipe(connection);
  connection.pipe(client);
  client.setTimeout(IDLE_MS, () => client.destroy());

  // Where the proxy closed in order the client still gets all that it sent; where it broke off, the client sees that, too.
  const proxyIsGone = () => (connection.readableEnded ? client.destroySoon() : client.resetAndDestroy());
  const clientIsGone = () => connection.destroy();
  connection.on('error', proxyIsGone).on('close', proxyIsGone);
  client.on('error', clientIsGone).on('close', clientIsGone);
  client.once('finish', () => setTimeout(() => client.destroy(), LINGER_MS).unref());

  const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return Promise.all([closed(client), closed(connection)]).then(() => undefined);
}
