import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '../../..');

/** CommonJS packages inside an ES module still ask for these three. */
const BANNER = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;`;

/** Packages look for these at run time and do without. */
const NEVER_LOADED = ['pg-native', 'typescript'];

/**
 * Makes a folder that runs a service with nothing but Node.js beside it: main.mjs, database.mjs (migrations and waiting),
 * seed.mjs, smoke.mjs, token.mjs and keys.mjs where the service has them, their common chunks, the schema engine's WebAssembly, and prisma/.
 * The same source gives the same bytes.
 * @returns the files it wrote
 * @throws Error for a name that is not a service
 */
export async function bundle(name: string, out = join(root, 'services', name, 'dist')) {
  const service = join(root, 'services', name);
  if (!existsSync(join(service, 'src/main.ts')))
    throw new Error(`services/${name}/src/main.ts is missing: there is no service of this name.`);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const own = ['seed', 'smoke', 'token', 'keys'].map((name) => [name, join(service, `src/${name}.ts`)] as const);
  await build({
    entryPoints: {
      main: join(service, 'src/main.ts'),
      database: join(root, 'libs/postgres/src/cli.ts'),
      ...Object.fromEntries(own.filter(([, file]) => existsSync(file))),
    },
    absWorkingDir: root,
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    keepNames: true,
    tsconfigRaw: {},
    external: NEVER_LOADED,
    banner: { js: BANNER },
    legalComments: 'none',
    logLevel: 'warning',
  });
  cpSync(
    fileURLToPath(new URL('schema_engine_bg.wasm', import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg'))),
    join(out, 'schema_engine_bg.wasm'),
  );
  if (existsSync(join(service, 'prisma'))) cpSync(join(service, 'prisma'), join(out, 'prisma'), { recursive: true });
  return readdirSync(out)
    .sort()
    .map((file) => ({ file, bytes: statSync(join(out, file)).size }));
}
