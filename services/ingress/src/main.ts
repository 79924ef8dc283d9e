import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@keelson/logger';
import closeWithGrace from 'close-with-grace';
import { readIngressConfig } from './config.ts';
import { createIngress } from './ingress.ts';
import { createDirectory } from './proxies.ts';
import { createRedirect } from './redirect.ts';

const config = readIngressConfig();
const log = createLogger({ service: 'ingress', level: config.LOG_LEVEL });
const ingress = createIngress({
  proxiesOf: createDirectory(config.PROXY_PORT),
  connections: config.CONNECTIONS,
  clientConnections: config.CLIENT_CONNECTIONS,
  patienceMs: config.PATIENCE_MS,
  log,
});
const redirect = createRedirect({
  tlsPort: config.PUBLIC_TLS_PORT,
  challengesDir: config.CHALLENGES_DIR,
  connections: config.CONNECTIONS,
  clientConnections: config.CLIENT_CONNECTIONS,
  log,
});

closeWithGrace({ delay: config.SHUTDOWN_MS + 1000, logger: log }, async ({ err, signal }) => {
  if (err) log.fatal({ err }, 'closing because of an error');
  else log.info({ signal }, 'closing');
  const closed = [ingress, redirect].map((server) => new Promise((resolve) => server.close(resolve)));
  await Promise.race([Promise.all(closed), delay(config.SHUTDOWN_MS)]);
  log.info('closed');
});

// On IPv4 alone: as an address of IPv6, the same client would be another one to the proxies.
ingress.listen(config.TLS_PORT, '0.0.0.0');
redirect.listen(config.PORT, '0.0.0.0');
await Promise.all([once(ingress, 'listening'), once(redirect, 'listening')]);
log.info({ version: config.SERVICE_VERSION, commit: config.SERVICE_COMMIT }, 'listening');
