import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './fresh-clone.ts';

// The development stack mounts ./libs over the image's, and with it would hide what npm had installed inside.
test('no package is installed inside a lib or a service', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const nested = Object.keys(packages).filter((path) => /^(libs|services)\/[^/]+\/node_modules\//.test(path));
  expect(nested).toEqual([]);
});
