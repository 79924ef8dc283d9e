import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';

export type Target = {
  /** Where clients believe they are: `https://DOMAIN`, whose host is what TLS and the Host header name. */
  url: string;
  /** HOST:PORT to connect to instead, where no DNS knows the domain. */
  connect?: string | undefined;
  /** A file with the certificates to trust, such as a self-signed one. */
  ca?: string | undefined;
  /** A shell command that prints an access token. */
  tokenCommand?: string | undefined;
};

const IDLE_MS = 60_000;

export type Origin = ReturnType<typeof originOf>;

/** @throws Error with a sentence for an address or a file that is of no use */
export function originOf({ url: given, connect, ca }: Target) {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new Error(`the URL must be an http or https address such as https://localhost:8443, but is ${given}`);
  const secure = url.protocol === 'https:';
  const [, host, port] = /^(.+):(\d+)$/.exec(connect ?? '') ?? [];
  if (connect && !host) throw new Error(`the address to connect to must be HOST:PORT, but is ${connect}`);
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const place = {
    host: host ?? name,
    port: Number(port ?? (url.port || (secure ? 443 : 80))),
    ...(secure ? { secureContext: createSecureContext(ca ? { ca: readFileSync(ca) } : {}) } : {}),
    ...(secure && !isIP(name) ? { servername: name } : {}),
  };
  return {
    /**
     * Connections that are kept, for as long as the server's Keep-Alive says, or one for each request, which then pays for
     * a whole TLS handshake. An agent heeds that header only where it has a timeout of its own.
     */
    agent: (keepAlive: boolean): http.Agent => {
      const options = { keepAlive, timeout: IDLE_MS, maxCachedSessions: keepAlive ? 100 : 0 };
      return secure ? new https.Agent(options) : new http.Agent(options);
    },
    request: (options: { agent: http.Agent; method: string; path: string; headers: Record<string, string> }) =>
      (secure ? https : http).request({
        ...place,
        ...options,
        headers: { Host: url.host, ...options.headers },
      }),
  };
}
