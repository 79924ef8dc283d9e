import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { succeeded } from '../compose/compose-stack.ts';
import { freshClone, services } from '../compose/fresh-clone.ts';
import { ANY_RATE, makeRelease, openDeployedStack, removeDeployed } from '../production/deployed-stack.ts';
import { ownIngress } from '../production/own-ingress.ts';

export type Deployed = {
  /** The checkout that the stack is deployed from, with its secrets in `.secrets/e2e`. */
  folder: string;
  /** The name of the stack, and what its verbs read besides: for `openComposeStack`. */
  name: string;
  settings: Record<string, string>;
  /** Where the ingress listens. */
  host: string;
  httpPort: number;
  tlsPort: number;
  /** Whom TLS has to ask for. */
  domain: string;
  /** A file with the certificate that vouches for it. */
  ca: string;
};

declare module 'vitest' {
  interface ProvidedContext {
    deployed: Deployed;
  }
}

const NAME = 'keelson-e2e-security';

/** Before the first test: deploys the production stack that they share. Removes it after the last one. */
export default async function deploy({ provide }: TestProject) {
  const scratch = mkdtempSync(join(tmpdir(), `${NAME}-`));
  const clone = freshClone();
  const ingress = await ownIngress(NAME);
  // As many connections and requests of one client at once as there may be by default.
  const settings = { ...ingress.settings, INGRESS_CLIENT_CONNECTIONS: '500', IMAGE_TAG: 'v1' };
  const stack = await openDeployedStack(clone.folder, NAME, settings, ANY_RATE);
  const remove = async () => {
    await removeDeployed(stack, ingress.network);
    clone.remove();
    rmSync(scratch, { recursive: true });
  };
  try {
    await removeDeployed(stack, ingress.network); // what a run that was killed left
    await makeRelease(stack, 'v1', [...services, 'proxy', 'provision', 'backup']);
    succeeded(await stack.run('scripts/deploy', 'v1'));
    const certificate = await stack.compose('exec', '-T', 'proxy', 'cat', '/certificates/current/fullchain.pem');
    const ca = join(scratch, 'ca.pem');
    writeFileSync(ca, `${succeeded(certificate)}\n`);
    const { httpPort, tlsPort } = ingress;
    const domain = `${stack.project}.keelson.test`;
    const folder = clone.folder;
    provide('baseUrl', `https://${domain}:${tlsPort}`);
    provide('tokenCommand', stack.tokenCommand);
    provide('reach', { address: '127.0.0.1', ca });
    provide('deployed', { folder, name: NAME, settings, host: '127.0.0.1', httpPort, tlsPort, domain, ca });
  } catch (error) {
    console.error(await stack.account());
    await remove();
    throw error;
  }
  return remove;
}
