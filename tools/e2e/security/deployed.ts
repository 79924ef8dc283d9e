import { inject } from 'vitest';
import { openComposeStack, succeeded } from '../compose/compose-stack.ts';
import { SETTINGS } from '../production/deployed-stack.ts';

/** The stack that deploy.ts has deployed for all files. */
export const deployed = inject('deployed');
export const stack = await openComposeStack(deployed.folder, deployed.name, { ...SETTINGS, ...deployed.settings });

/** What a service has said, a line each, of all its containers. */
export const logOf = async (service: string) =>
  succeeded(await stack.compose('logs', '--no-log-prefix', '--no-color', service)).split('\n');

export const logOfIngress = async () =>
  succeeded(await stack.run('scripts/ingress', 'logs', '--no-log-prefix', '--no-color')).split('\n');
