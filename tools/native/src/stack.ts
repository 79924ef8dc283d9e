import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createLogger } from '@keelson/logger';
import type { NativeConfig } from './config.ts';
import { openDatabase, migratorUrl, serviceUrls, type Database } from './database.ts';
import { createGateway } from './gateway.ts';
import type { Output } from './output.ts';
import { identityOf } from './identity.ts';
import { freePorts, listenLocally, type Listening } from './ports.ts';
import { generateCode, prepareDatabase, seedNewDatabase } from './prepare.ts';
import { startServices, type RunningServices } from './running-services.ts';
import type { Service } from './services.ts';
import { claimStack } from './stack-file.ts';
import { untilReady } from './until-ready.ts';

export interface Stack {
  root: string;
  config: NativeConfig;
  services: Service[];
  output: Output;
}

const POSTGRES_STOP_MS = 1500;

/** Starts the stack, and stops it again when `signal` aborts or it cannot go on. */
export async function runStack(stack: Stack, signal: AbortSignal): Promise<void> {
  const { root, config, services, output } = stack;
  const failure = new AbortController();
  const ending = AbortSignal.any([signal, failure.signal]);
  const file = await claimStack(join(config.dataDir, 'stack.json'), `http://localhost:${config.port}`);
  let gateway: Listening | undefined;
  let database: Database | undefined;
  let running: RunningServices | undefined;
  try {
    const origins = await chooseOrigins(services);
    gateway = await openGateway(stack, origins);
    const url = `http://localhost:${gateway.port}`;
    file.update({ url });

    const openAndPrepare = async () => {
      const place = config.dataDir.startsWith(`${root}/`) ? relative(root, config.dataDir) : config.dataDir;
      const title = `Postgres, with its data in ${place}`;
      database = await output.step(title, () => openDatabase(config.dataDir));
      void database.server.ended.then(() =>
        failure.abort(new Error(`Postgres has ended: the last lines of ${place}/postgres.log say why.`)),
      );
      const urls = serviceUrls(database.url, services);
      const owners = { postgres: database.url, migrator: migratorUrl(database.url) };
      file.update({ databases: { ...owners, ...urls } });
      await prepareDatabase(stack, owners, urls, ending);
      return urls;
    };
    const work = [openAndPrepare(), generateCode(stack, ending)] as const;
    for (const part of work) part.catch((error) => failure.abort(error));
    await Promise.allSettled(work); // nothing is left half way when one of them fails
    ending.throwIfAborted();
    const urls = await work[0];
    await seedNewDatabase(stack, urls, ending);

    running = startServices(stack, origins, urls, identityOf(stack, origins, urls), file);
    const readyUrls = [...origins].map(([name, origin]) => [name, `${origin}/readyz`] as const);
    await output.step('services', () =>
      Promise.all([...readyUrls, ['gateway', `${url}/healthz`] as const].map((one) => untilReady(stack, one, ending))),
    );
    output.say(`Keelson is up: ${url} is the console, ${url}/api/v1/openapi.json the API. Ctrl-C stops it.`);
    if (!ending.aborted) await once(ending, 'abort');
    ending.throwIfAborted();
  } finally {
    if (signal.aborted) output.say('Stopping …');
    await gateway?.close();
    await running?.stop();
    await database?.server.stop(POSTGRES_STOP_MS);
    file.remove();
  }
}

/** Where each API listens while this stack runs. */
async function chooseOrigins(services: Service[]): Promise<Map<string, string>> {
  const apis = services.filter(({ kind }) => kind === 'api');
  const ports = await freePorts(apis.length);
  return new Map(apis.map(({ name }, index) => [name, `http://127.0.0.1:${ports[index]}`]));
}

/** First of all, since a port that is taken ends the start; until the services are up it says that they are not. */
function openGateway({ root, config, services, output }: Stack, origins: Map<string, string>): Promise<Listening> {
  const destination = { write: (line: string) => output.log('gateway', line.trimEnd()) };
  const mediaDir = join(config.dataDir, 'media');
  mkdirSync(mediaDir, { recursive: true });
  const gateway = createGateway({
    apis: [...origins].map(([name, origin]) => ({
      name,
      origin,
      routes: services.find((s) => s.name === name)!.routes,
    })),
    mediaDir,
    consoleDir: join(root, 'proxy/console'),
    log: createLogger({ service: 'gateway', level: config.logLevel }, destination),
  });
  return listenLocally(gateway, config.port);
}
