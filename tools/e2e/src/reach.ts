import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where a stack is whose name no DNS has, and the file with the certificate that vouches for it. */
    reach?: { address: string; ca: string };
  }
}

const reach = inject('reach');

const lookup: LookupFunction = (_name, { all }, found) =>
  all ? found(null, [{ address: reach!.address, family: 4 }]) : found(null, reach!.address, 4);

/** What a connection to the proxy wants besides its address. */
export const connection = reach ? { lookup, ca: readFileSync(reach.ca) } : {};
