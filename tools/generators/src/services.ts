import type { Tree } from '@nx/devkit';

export type Service = {
  name: string;
  kind: 'api' | 'worker' | 'job';
  routes: string[];
  schema?: string;
  jobs: string[];
};

export const readServices = (tree: Tree): Service[] =>
  tree
    .children('services')
    .filter((name) => tree.exists(`services/${name}/service.json`))
    .map((name) => ({
      routes: [],
      jobs: [],
      ...JSON.parse(tree.read(`services/${name}/service.json`, 'utf8')!),
      name,
    }));
