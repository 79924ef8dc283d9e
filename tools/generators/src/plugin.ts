import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  createNodesFromFiles,
  type CreateNodesV2,
  type ProjectConfiguration,
  type TargetConfiguration,
} from '@nx/devkit';

const TYPES: Record<string, string> = { services: 'type:service', libs: 'type:lib', tools: 'type:tool' };

/** Infers a project's targets from what its folder holds, so that no project repeats them. */
export const createNodesV2: CreateNodesV2 = [
  '{package.json,{services,libs,tools}/*/package.json,*/Dockerfile}',
  (files, options, context) =>
    createNodesFromFiles(
      (file) => ({ projects: { [dirname(file)]: projectOf(file, context.workspaceRoot) } }),
      files,
      options,
      context,
    ),
];

function projectOf(file: string, workspaceRoot: string): Omit<ProjectConfiguration, 'root'> {
  const root = dirname(file);
  // All of it, whose version a release raises.
  if (root === '.') return { name: 'stack' };
  // A folder that is an image by itself, such as the proxy.
  if (basename(file) === 'Dockerfile') return { name: root, targets: { image: image(root, ['{projectRoot}/**/*']) } };
  return project(root, workspaceRoot);
}

/** Never cached here: the builder knows best what it has, and the image could have been removed since. */
const image = (name: string, inputs: string[]): TargetConfiguration => ({
  command: `docker buildx bake --file docker-bake.hcl --load ${name}`,
  cache: false,
  inputs: [...inputs, '{workspaceRoot}/docker-bake.hcl'],
});

function project(root: string, workspaceRoot: string) {
  const has = (path: string) => existsSync(join(workspaceRoot, root, path));
  const prisma = has('prisma/schema.prisma');
  const generated = prisma ? ['generate'] : [];
  const targets: Record<string, TargetConfiguration> = {
    lint: {
      command: 'eslint . && prettier --check --log-level warn --ignore-path ../../.prettierignore .',
      options: { cwd: root },
      cache: true,
      dependsOn: generated,
      inputs: ['default', '{workspaceRoot}/package.json'],
    },
    typecheck: {
      command: 'node node_modules/typescript-7/bin/tsc -p ' + root,
      cache: true,
      dependsOn: [...generated, '^generate'],
      inputs: ['default', '^production'],
    },
  };
  if (has('src') && root !== 'tools/e2e')
    targets['test'] = {
      // A test fails for what it finds, not for how busy the machine is: the timeouts only end one that hangs.
      command: 'vitest run --passWithNoTests --testTimeout=60000 --hookTimeout=60000',
      options: { cwd: root },
      cache: true,
      dependsOn: generated,
      inputs: ['default', '^production'],
    };
  if (prisma)
    targets['generate'] = {
      command: 'prisma generate --no-hints',
      // Generating runs in WebAssembly. Any existing file as the engine's path keeps the CLI from downloading one.
      options: { cwd: root, env: { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: '1' } },
      cache: true,
      inputs: ['{projectRoot}/prisma/schema.prisma', { externalDependencies: ['prisma'] }],
      outputs: ['{projectRoot}/generated'],
    };
  if (has('service.json'))
    targets['build'] = {
      command: 'node tools/bundle/src/main.ts ' + root.replace('services/', ''),
      cache: true,
      dependsOn: generated,
      inputs: ['production', '^production', '{workspaceRoot}/tools/bundle/src/**/*.ts'],
      outputs: ['{projectRoot}/dist'],
    };
  if (has('service.json'))
    targets['image'] = image(basename(root), [
      'production',
      '^production',
      '{workspaceRoot}/{Dockerfile,.dockerignore,.npmrc}',
      '{workspaceRoot}/tools/{bundle,stubs}/**/*',
      '{workspaceRoot}/scripts/{entrypoint,healthcheck}.sh',
    ]);
  return { targets, tags: [TYPES[root.split('/')[0] ?? ''] ?? 'type:tool'] };
}
