import type { Tree } from '@nx/devkit';
import { parse } from 'yaml';
import { variableOf } from './names.ts';
import { readServices, type Service } from './services.ts';
import { COMPOSE, ENV_TEMPLATE, JOBS, OVERRIDE_EXAMPLE, routeFile, routePattern } from './wiring.ts';

type Container = { environment?: Record<string, string>; depends_on?: object; build?: { args?: { SERVICE?: string } } };
type Compose = { services: Record<string, Container> };

/** Where a service's service.json and the files that people edit say different things: a sentence for each. */
export function disagreements(tree: Tree): string[] {
  const read = (file: string) => tree.read(file, 'utf8') ?? '';
  const compose: Compose = parse(read(COMPOSE), { merge: true });
  const override: Compose = parse(read(OVERRIDE_EXAMPLE), { merge: true });
  const services = readServices(tree).filter(({ kind }) => kind !== 'job');
  const lacks = (file: string, what: string, is: boolean | undefined) => (is ? [] : [`${file} lacks ${what}.`]);

  const ofService = ({ name, kind, routes, schema, jobs }: Service) => {
    const variable = variableOf(name);
    const { [name]: container } = compose.services;
    const url = container?.environment?.['DATABASE_URL'];
    const role = variable.toLowerCase();
    return [
      ...lacks(COMPOSE, `the service ${name}`, !!container),
      ...lacks(
        COMPOSE,
        `SERVICE: ${name} in the build of ${name}`,
        !container || container.build?.args?.SERVICE === name,
      ),
      ...lacks(COMPOSE, `a DATABASE_URL of ${name} with the role ${role}`, !container || url?.includes(`//${role}:`)),
      ...lacks(
        COMPOSE,
        schema ? `the schema ${schema} in the DATABASE_URL of ${name}` : `a DATABASE_URL without a schema for ${name}`,
        !url || /\?schema=(\w+)$/.exec(url)?.[1] === schema,
      ),
      ...lacks(
        COMPOSE,
        `${variable}_DATABASE_URL of provision, the same as the DATABASE_URL of ${name}`,
        compose.services['provision']?.environment?.[`${variable}_DATABASE_URL`] === url,
      ),
      ...lacks(OVERRIDE_EXAMPLE, `the service ${name}`, !!override.services[name]),
      ...lacks(
        ENV_TEMPLATE,
        `${variable}_PASSWORD=`,
        new RegExp(`^${variable}_PASSWORD=$`, 'm').test(read(ENV_TEMPLATE)),
      ),
      ...(kind === 'api'
        ? [
            ...lacks(
              COMPOSE,
              `${name} in depends_on of the proxy`,
              name in (compose.services['proxy']?.depends_on ?? {}),
            ),
            ...lacks(
              routeFile(name),
              `the line "${routePattern(name, routes)}"`,
              read(routeFile(name)).includes(routePattern(name, routes)),
            ),
            ...lacks(
              routeFile(name),
              `proxy_pass http://${name}`,
              read(routeFile(name)).includes(`proxy_pass http://${name};`),
            ),
          ]
        : jobs.flatMap((job) => lacks(JOBS, `the job ${job}`, read(JOBS).includes(`'./${job}.ts'`)))),
    ];
  };

  const known = new Set(readServices(tree).map(({ name }) => name));
  const isGone = (name: string) => !known.has(name);
  const built = Object.entries(compose.services).filter(([, { build }]) => build?.args?.SERVICE);
  const routed = tree.children('proxy/services').map((file) => file.replace(/\.conf$/, ''));
  return [
    ...services.flatMap(ofService),
    ...built
      .map(([name]) => name)
      .filter(isGone)
      .map((name) => `${COMPOSE} has the service ${name}, but services/${name} is not there.`),
    ...routed.filter(isGone).map((name) => `${routeFile(name)} routes to ${name}, but services/${name} is not there.`),
  ];
}
