import type { Agent } from 'node:http';
import type { Slow } from './exchange.ts';
import type { Origin } from './target.ts';

export const CLIENTS = ['kept', 'seldom', 'fresh', 'slow reader', 'slow writer'] as const;
export type ClientName = (typeof CLIENTS)[number];

/** Of the requests that are not slow: 85% on kept connections, 5% on connections that are idle for seconds, 10% on new ones. */
const SELDOM = 0.05;
const FRESH = 0.1;
/** Each has a connection of its own, and opens another when it is to ask before it was answered. */
const KEPT_CLIENTS = 20;
const SELDOM_CLIENTS = 40;
const SLOW_CLIENTS = 40;

/** Whose turn it is: a request waits for nobody. */
export function clientsOf(origin: Origin, random: () => number = Math.random) {
  const pools = {
    kept: inTurn(KEPT_CLIENTS, origin),
    seldom: inTurn(SELDOM_CLIENTS, origin),
    'slow reader': inTurn(SLOW_CLIENTS, origin),
    'slow writer': inTurn(SLOW_CLIENTS, origin),
  };
  const fresh = origin.agent(false);
  const nameFor = (slow: Slow): ClientName => {
    if (slow) return slow === 'read' ? 'slow reader' : 'slow writer';
    const drawn = random();
    return drawn < SELDOM ? 'seldom' : drawn < SELDOM + FRESH ? 'fresh' : 'kept';
  };
  return {
    next: (slow: Slow): { name: ClientName; agent: Agent } => {
      const name = nameFor(slow);
      return { name, agent: name === 'fresh' ? fresh : pools[name].next() };
    },
    close: () => {
      fresh.destroy();
      for (const pool of Object.values(pools)) pool.close();
    },
  };
}

function inTurn(count: number, origin: Origin) {
  const agents = Array.from({ length: count }, () => origin.agent(true));
  let turn = 0;
  return {
    next: () => agents[turn++ % count]!,
    close: () => agents.forEach((agent) => agent.destroy()),
  };
}
