import { Resolver } from 'node:dns/promises';

export type Proxy = { address: string; port: number };

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** Not an address: the last part begins with a letter. */
const HOST_NAME = new RegExp(`^(?=.{1,200}$)(?:${LABEL}\\.)*(?=[a-z])${LABEL}$`);
const KEPT_MS = 1000;

/**
 * Finds the proxies of a host: its name with `.internal` after it is what they are called in the network that they share
 * with the ingress. Nothing else is ever looked up. Each answer is kept for a second, and for longer while there is no other.
 */
export function createDirectory(port: number, lookUp = askDns()) {
  const recent = new Map<string, Promise<Proxy[]>>();
  const last = new Map<string, Proxy[]>();

  async function find(name: string): Promise<Proxy[]> {
    try {
      const proxies = (await lookUp(`${name}.internal`)).map((address) => ({ address, port }));
      last.set(name, proxies);
      return proxies;
    } catch (error) {
      const isLate = (error as NodeJS.ErrnoException).code === 'ETIMEOUT';
      if (!isLate) last.delete(name);
      return last.get(name) ?? [];
    } finally {
      setTimeout(() => recent.delete(name), KEPT_MS).unref();
    }
  }

  /** @returns them in the order in which to try them, any of them first; none where there is no such host */
  return async function proxiesOf(host: string): Promise<Proxy[]> {
    const name = host.toLowerCase();
    if (!HOST_NAME.test(name)) return [];
    if (!recent.has(name)) recent.set(name, find(name));
    const proxies = await recent.get(name)!;
    const first = Math.floor(Math.random() * proxies.length);
    return [...proxies.slice(first), ...proxies.slice(0, first)];
  };
}

function askDns() {
  const resolver = new Resolver({ timeout: 1000, tries: 3 });
  return (name: string) => resolver.resolve4(name);
}
