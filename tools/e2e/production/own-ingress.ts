import { createHash } from 'node:crypto';
import { freePorts } from '../compose/compose-stack.ts';
import { root } from '../compose/fresh-clone.ts';

/** What scripts/ingress reads for an ingress and a network that are this checkout's and one test's own. */
export async function ownIngress(name: string, address = '127.0.0.1') {
  const hash = createHash('sha256').update(root).digest('hex').slice(0, 8);
  const [httpPort, tlsPort] = (await freePorts(2)) as [number, number];
  const network = `${name}-outer-${hash}`;
  const settings = {
    INGRESS_PROJECT: `${name}-ingress-${hash}`,
    INGRESS_NETWORK: network,
    INGRESS_ADDRESS: address,
    INGRESS_HTTP_PORT: String(httpPort),
    INGRESS_HTTPS_PORT: String(tlsPort),
    // All of a test's clients are one to it.
    INGRESS_CLIENT_CONNECTIONS: '2000',
  };
  return { httpPort, tlsPort, network, settings };
}
