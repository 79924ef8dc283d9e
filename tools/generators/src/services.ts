import type { Tree } from '@nx/devkit';

export type Service = {
  name: string;
  kind: 'api' | 'worker' | 'job' | 'ingress';
  routes: string[];
  schema?: string;
  jobs: string[];
};

/** Those that `npm run new` makes; the others are the stack's own. */
export const isMade = ({ kind }: Service) => kind === 'api' || kind === 'worker';

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
