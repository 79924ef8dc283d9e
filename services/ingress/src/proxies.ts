import { Resolver } from 'node:dns/promises';

export type Proxy = { address: string; port: number };

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** Not an address: the last part begins with a letter. */
const HOST_NAME = new RegExp(`^(?=.{1,200}$)(?:${LABEL}\\.)*(?=[a-z])${LABEL}$`);
const KEPT_MS = 1000;

/**
 * Finds the proxies of a host: its name with `.internal` after it is what they are called in the network that they share
 * with the ingress. Nothing else is ever looked up. Each answer is kept for a second.
 */
export function createDirectory(port: number, lookUp = askDns()) {
  const known = new Map<string, Promise<Proxy[]>>();

  /** @returns them in the order in which to try them, any of them first; none where there is no such host */
  return async function proxiesOf(host: string): Promise<Proxy[]> {
    const name = host.toLowerCase();
    if (!HOST_NAME.test(name)) return [];
    let found = known.get(name);
    if (!found) {
      found = lookUp(`${name}.internal`).then((addresses) => addresses.map((address) => ({ address, port })));
      known.set(name, found);
      const forget = () => void setTimeout(() => known.delete(name), KEPT_MS).unref();
      found.then(forget, forget);
    }
    const proxies = await found.catch(() => []);
    const first = Math.floor(Math.random() * proxies.length);
    return [...proxies.slice(first), ...proxies.slice(0, first)];
  };
}

function askDns() {
  const resolver = new Resolver({ timeout: 1000, tries: 3 });
  return (name: string) => resolver.resolve4(name);
}
