import { spawnSync } from 'node:child_process';
import { counted, type Check } from './check.ts';

/** That `npm run sbom` has something to say: npm refuses where what is installed is not what was asked for. */
export const billOfMaterials: Check = ({ root }) => {
  const { error, stdout, stderr } = spawnSync('npm', ['sbom', '--sbom-format=cyclonedx'], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (stderr.includes('Unknown command')) return { skipped: 'this npm is too old to make one: it wants npm 10' };
  try {
    const { components }: { components: unknown[] } = JSON.parse(stdout);
    return { seen: counted(components.length, 'component'), problems: [] };
  } catch {
    const what = `npm makes no bill of materials: ${error?.message ?? stderr.trim().split('\n').slice(0, 5).join('; ')}`;
    return { seen: 'nothing', problems: [{ file: 'package-lock.json', what, mend: 'npm ci installs what it names.' }] };
  }
};
