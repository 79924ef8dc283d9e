import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { openComposeStack, succeeded } from '../compose/compose-stack.ts';
import { SETTINGS } from '../production/deployed-stack.ts';
import { bearableRate, underLoad } from '../production/under-load.ts';

/** The stack that deploy.ts has deployed for all files. */
export const deployed = inject('deployed');
export const stack = await openComposeStack(deployed.folder, deployed.name, { ...SETTINGS, ...deployed.settings });

/** What a service has said, a line each, of all its containers. */
export const logOf = async (service: string) =>
  succeeded(await stack.compose('logs', '--no-log-prefix', '--no-color', service)).split('\n');

export const logOfIngress = async () =>
  succeeded(await stack.run('scripts/ingress', 'logs', '--no-log-prefix', '--no-color')).split('\n');

/** Requests a second: so few of one client that the proxy's limits do not count. */
const RATE = 100;

/** What `act` does goes unnoticed by those who ask meanwhile. */
export async function unnoticed(act: () => Promise<void>) {
  const scratch = mkdtempSync(join(tmpdir(), 'keelson-e2e-load-'));
  const { host, tlsPort, domain, ca } = deployed;
  const { tokenCommand } = stack;
  const ledger = join(scratch, 'ledger');
  const target = { url: `https://${domain}`, connect: `${host}:${tlsPort}`, ca, tokenCommand, ledger };
  try {
    await underLoad(target, Math.min(RATE, await bearableRate(target)), act);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
