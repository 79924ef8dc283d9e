import { visitNotIgnoredFiles, type Tree } from '@nx/devkit';
import { updateLockfile } from './lockfile.ts';
import { variableOf } from './names.ts';
import { Refusal } from './refusal.ts';
import { isMade, readServices } from './services.ts';
import { removeWiring } from './wiring.ts';

/** Takes a service out of the tree, with all its wiring. @throws Refusal before anything is written */
export function removeService(tree: Tree, name: string) {
  const services = readServices(tree);
  const service = services.find((service) => service.name === name);
  const known = services.filter(isMade).map((service) => service.name);
  if (!service) throw new Refusal(`There is no service ${name}: there are ${known.join(', ') || 'none'}.`);
  if (!isMade(service)) throw new Refusal(`${name} is part of the stack itself: only APIs and workers can be removed.`);
  for (const job of service.jobs) refuseUsed(tree, name, job);
  refuseCalled(tree, name);
  tree.delete(`services/${name}`);
  removeWiring(tree, name, service.jobs);
  updateLockfile(tree, name, false);
}

function refuseUsed(tree: Tree, name: string, job: string) {
  const contract = /export const (\w+)/.exec(tree.read(`libs/jobs/src/${job}.ts`, 'utf8') ?? '')?.[1];
  if (!contract) return;
  visitNotIgnoredFiles(tree, 'services', (file) => {
    if (file.startsWith(`services/${name}/`) || !file.endsWith('.ts')) return;
    const imported = new RegExp(`import [^;]*\\b${contract}\\b[^;]* from '@keelson/jobs'`);
    if (imported.test(tree.read(file, 'utf8') ?? ''))
      throw new Refusal(`${file} uses the job ${contract} of ${name}: take it out there first.`);
  });
}

/** Another service that has its address would call nobody. */
function refuseCalled(tree: Tree, name: string) {
  const caller = readServices(tree).find(
    (other) =>
      other.name !== name &&
      (tree.read(`services/${other.name}/src/config.ts`, 'utf8') ?? '').includes(`${variableOf(name)}_URL`),
  );
  if (caller)
    throw new Refusal(`services/${caller.name}/src/config.ts needs ${variableOf(name)}_URL: take it out there first.`);
}
