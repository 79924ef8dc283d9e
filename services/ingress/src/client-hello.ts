const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
/** Of what a client may say before it has named a host. */
const MAX_BYTES = 20_000;

/** What came first is no hello of a TLS client. */
export class NotTls extends Error {}

/**
 * Reads which host a TLS client wants, which it says first and in the clear (RFC 8446 4.1.2, RFC 6066 3).
 * @param bytes what has come so far
 * @returns the host as the client wrote it, '' where it names none, undefined where more has to come
 * @throws NotTls
 */
export function serverName(bytes: Buffer): string | undefined {
  const hello = handshake(bytes);
  if (!hello) {
    if (bytes.length > MAX_BYTES) throw new NotTls('its hello does not end');
    return undefined;
  }
  try {
    return nameIn(hello);
  } catch (error) {
    throw new NotTls('its hello is malformed', { cause: error });
  }
}

/** The first handshake message, once it is complete: it may be spread over several records. */
function handshake(bytes: Buffer): Reader | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== HANDSHAKE || (bytes[at + 1] ?? 3) !== 3) throw new NotTls('it does not speak TLS');
    if (at + 5 > bytes.length) break;
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    parts.push(bytes.subarray(at + 5, end));
    at = end;
  }
  const message = Buffer.concat(parts);
  if (message.length > 0 && message[0] !== CLIENT_HELLO) throw new NotTls('it does not begin with a hello');
  if (message.length < 4) return undefined;
  const length = message.readUIntBE(1, 3);
  return message.length < 4 + length ? undefined : new Reader(message.subarray(4, 4 + length));
}

function nameIn(hello: Reader): string {
  hello.take(2 + 32); // version, random
  hello.block(1); // session id
  hello.block(2); // cipher suites
  hello.block(1); // compression methods
  if (hello.isAtEnd) return '';
  const extensions = hello.block(2);
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const extension = extensions.block(2);
    if (type !== SERVER_NAME) continue;
    const names = extension.block(2);
    while (!names.isAtEnd) {
      const kind = names.number(1);
      const name = names.block(2);
      if (kind === HOST_NAME) return name.text();
    }
  }
  return '';
}

/** Reads on and on. @throws RangeError past the end */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd() {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('there is less than it says');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  number(bytes: number): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** What follows its own length. */
  block(lengthBytes: number): Reader {
    return new Reader(this.take(this.number(lengthBytes)));
  }

  text() {
    return this.#bytes.toString('latin1');
  }
}
