import { port, processSettings, readConfig, wholeNumber } from '@keelson/config';
import { z } from 'zod';

export const readIngressConfig = () =>
  readConfig({
    ...processSettings,
    /** Where plain HTTP is answered, and the container's health check. */
    PORT: port.default(8080),
    TLS_PORT: port.default(8443),
    /** What clients know TLS_PORT by. */
    PUBLIC_TLS_PORT: port.default(443),
    /** Where the proxies of a host listen. */
    PROXY_PORT: port.default(8443),
    CONNECTIONS: wholeNumber(1, 100_000).default(5000),
    CLIENT_CONNECTIONS: wholeNumber(1, 100_000).default(500),
    /** How long to look for a proxy that answers. */
    PATIENCE_MS: wholeNumber(0, 60_000).default(5000),
    CHALLENGES_DIR: z.string().default('/challenges'),
    /** How long connections may go on when this process is to end. */
    SHUTDOWN_MS: wholeNumber(0, 60_000).default(5000),
  });
