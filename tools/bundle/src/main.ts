// Bundles a service for its image: node tools/bundle/src/main.ts NAME [--out DIR]
import { parseArgs } from 'node:util';
import { bundle } from './bundle.ts';

const USAGE = 'Usage: node tools/bundle/src/main.ts NAME [--out DIR]   (DIR: services/NAME/dist)';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { out: { type: 'string' } } });
const [name] = positionals;
if (!name || positionals.length > 1) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(64);
}
try {
  for (const { file, bytes } of await bundle(name, values.out))
    process.stdout.write(`${String(bytes).padStart(9)}  ${file}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
