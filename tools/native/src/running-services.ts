import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { keepRunning } from './service-process.ts';
import { variableName } from './services.ts';
import { sourceFolders } from './source-folders.ts';
import type { StackFile } from './stack-file.ts';
import type { Stack } from './stack.ts';
import { watchFolders } from './watch-folders.ts';

export interface RunningServices {
  stop(): Promise<void>;
}

const STOP_MS = 2500;

/** Starts every API and worker, with live reload where it is wanted. */
export function startServices(
  { root, config, services, output }: Stack,
  origins: Map<string, string>,
  urls: Record<string, string>,
  identity: Identity,
  file: StackFile,
): RunningServices {
  const commit = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  const shared = {
    ...config.env,
    ...identity.all,
    LOG_LEVEL: config.logLevel,
    SERVICE_VERSION: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    ...(commit.status === 0 ? { SERVICE_COMMIT: commit.stdout.trim() } : {}),
    HOST: '127.0.0.1',
    DRAIN_MS: '0',
    MEDIA_DIR: join(config.dataDir, 'media'),
    ...Object.fromEntries([...origins].map(([name, origin]) => [`${variableName(name)}_URL`, origin])),
  };
  const started = services
    .filter(({ kind }) => kind !== 'job')
    .map(({ name, folder }) => {
      const origin = origins.get(name);
      const own = origin ? { PORT: new URL(origin).port } : { HEALTH_FILE: join(config.dataDir, `${name}.health`) };
      const service = keepRunning({
        main: join(folder, 'src/main.ts'),
        cwd: folder,
        env: { ...shared, ...identity.own[name], DATABASE_URL: urls[name], ...own },
        watched: config.watch,
        line: (text) => output.log(name, text),
        note: (text) => output.say(`${name} ${text}`),
        started: (pid) => file.service(name, pid, origin),
      });
      const unwatch = config.watch ? watchFolders(sourceFolders(root, folder), service.reload) : () => {};
      return { service, unwatch };
    });
  return {
    async stop() {
      for (const { unwatch } of started) unwatch();
      await Promise.all(started.map(({ service }) => service.stop(STOP_MS)));
    },
  };
}
