import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');

/** The images that `nx affected -t image` builds after a change of the file. */
function affected(file: string): string[] {
  const args = ['show', 'projects', '--affected', `--files=${file}`, '--with-target=image', '--json'];
  const env = { ...process.env, NX_DAEMON: 'false', NX_ISOLATE_PLUGINS: 'false' };
  const nx = join(root, 'node_modules/nx/dist/bin/nx.js');
  const names: string[] = JSON.parse(
    execFileSync(process.execPath, [nx, ...args], { cwd: root, env, encoding: 'utf8' }),
  );
  return names.map((name) => name.replace(/^@.*\//, '')).sort();
}

const packages = ['libs', 'services'].flatMap((folder) =>
  readdirSync(join(root, folder)).map((name) => ({
    name,
    isService: folder === 'services',
    manifest: JSON.parse(readFileSync(join(root, folder, name, 'package.json'), 'utf8')),
  })),
);
const services = packages.filter(({ isService }) => isService).map(({ name }) => name);

/** Services whose package.json names the lib, or another lib that does. */
function dependents(lib: string): string[] {
  const direct = packages.filter(({ manifest }) =>
    Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).some((name) => name.endsWith(`/${lib}`)),
  );
  const all = direct.flatMap(({ name, isService }) => (isService ? [name] : dependents(name)));
  return [...new Set(all)].sort();
}

describe('nx affected -t image', { timeout: 60_000 }, () => {
  test('a service is one image, and so is the proxy', () => {
    expect(affected('services/provision/src/main.ts')).toEqual(['provision']);
    expect(affected('proxy/nginx.conf')).toEqual(['proxy']);
  });

  test.for(['http', 'http-client', 'queue'])('libs/%s is the image of each of its dependents', (lib) => {
    expect(dependents(lib)).not.toEqual([]);
    expect(affected(`libs/${lib}/src/some.ts`)).toEqual(dependents(lib));
  });

  test.for(['Dockerfile', '.dockerignore', 'tools/bundle/src/bundle.ts', 'scripts/entrypoint.sh'])(
    '%s is the image of every service',
    (file) => {
      expect(affected(file)).toEqual(services.toSorted());
    },
  );

  test.for(['docker-bake.hcl', 'package-lock.json'])('%s is every image', (file) => {
    expect(affected(file)).toEqual(expect.arrayContaining([...services, 'proxy']));
  });

  test('what is in no image is none', () => {
    expect(affected('README.md,tools/e2e/src/api.ts,docker-compose.yml')).toEqual([]);
  });
});
