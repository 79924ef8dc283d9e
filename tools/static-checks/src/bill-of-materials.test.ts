import { expect, test } from 'vitest';
import { billOfMaterials } from './bill-of-materials.ts';
import { problemsOf } from './testing.ts';

test('npm makes one of what is installed, and not of what is missing', async () => {
  const manifest = (more: object) => JSON.stringify({ name: 'a', version: '1.0.0', ...more });
  expect(await problemsOf(billOfMaterials, { 'package.json': manifest({}) })).toEqual([]);
  const [problem] = await problemsOf(billOfMaterials, {
    'package.json': manifest({ dependencies: { left: '1.0.0' } }),
  });
  expect(problem?.what).toMatch(/^npm makes no bill of materials: .*left/s);
});
