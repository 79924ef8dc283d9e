import type { Tree } from '@nx/devkit';
import { parse } from 'yaml';
import { variableOf } from './names.ts';
import { isMade, readServices, type Service } from './services.ts';
import {
  BAKE,
  bakeLine,
  COMPOSE,
  JOBS,
  MIGRATOR_SECRET,
  OVERRIDE_EXAMPLE,
  passwordFile,
  PRODUCTION,
  routeFile,
  routePattern,
  secretOf,
} from './wiring.ts';

type Container = {
  environment?: Record<string, string>;
  secrets?: string[];
  depends_on?: object;
  build?: { args?: { SERVICE?: string } };
};
type Compose = { services: Record<string, Container>; secrets?: Record<string, object> };

/** Where a service's service.json and the files that people edit say different things: a sentence for each. */
export function disagreements(tree: Tree): string[] {
  const read = (file: string) => tree.read(file, 'utf8') ?? '';
  const compose: Compose = parse(read(COMPOSE), { merge: true });
  const override: Compose = parse(read(OVERRIDE_EXAMPLE), { merge: true });
  const production: Compose = parse(read(PRODUCTION), { merge: true, logLevel: 'error' }); // which knows no !reset
  const services = readServices(tree).filter(isMade);
  const lacks = (file: string, what: string, is: boolean | undefined) => (is ? [] : [`${file} lacks ${what}.`]);

  const ofService = ({ name, kind, routes, schema, jobs }: Service) => {
    const variable = variableOf(name);
    const { [name]: container } = compose.services;
    const { [name]: deployed } = production.services;
    const provision = compose.services['provision'];
    const url = container?.environment?.['DATABASE_URL'];
    const secret = secretOf(name);
    const role = variable.toLowerCase();
    return [
      ...lacks(COMPOSE, `the service ${name}`, !!container),
      ...lacks(
        COMPOSE,
        `SERVICE: ${name} in the build of ${name}`,
        !container || container.build?.args?.SERVICE === name,
      ),
      ...lacks(COMPOSE, `a DATABASE_URL of ${name} with the role ${role}`, !container || url?.includes(`//${role}@`)),
      ...lacks(
        COMPOSE,
        schema ? `the schema ${schema} in the DATABASE_URL of ${name}` : `a DATABASE_URL without a schema for ${name}`,
        !url || /\?schema=(\w+)$/.exec(url)?.[1] === schema,
      ),
      ...lacks(
        COMPOSE,
        `${variable}_DATABASE_URL of provision, the same as the DATABASE_URL of ${name}`,
        provision?.environment?.[`${variable}_DATABASE_URL`] === url,
      ),
      ...lacks(COMPOSE, `the secret ${secret}`, !!compose.secrets?.[secret]),
      ...lacks(
        COMPOSE,
        `the secret ${secret} in ${name}, as its DATABASE_PASSWORD_FILE`,
        !container ||
          (container.secrets?.includes(secret) &&
            container.environment?.['DATABASE_PASSWORD_FILE'] === passwordFile(name)),
      ),
      ...lacks(
        COMPOSE,
        `the secret ${MIGRATOR_SECRET} in ${name}`,
        !container || !schema || container.secrets?.includes(MIGRATOR_SECRET),
      ),
      ...lacks(
        COMPOSE,
        `the secret ${secret} in provision, as its ${variable}_DATABASE_PASSWORD_FILE`,
        provision?.secrets?.includes(secret) &&
          provision.environment?.[`${variable}_DATABASE_PASSWORD_FILE`] === passwordFile(name),
      ),
      ...lacks(OVERRIDE_EXAMPLE, `the service ${name}`, !!override.services[name]),
      ...lacks(PRODUCTION, `the service ${name}`, !!deployed),
      ...lacks(
        PRODUCTION,
        `MIGRATE: wait in the environment of ${name}`,
        !deployed || deployed.environment?.['MIGRATE'] === 'wait',
      ),
      ...lacks(PRODUCTION, `build: !reset null in ${name}`, !deployed || 'build' in deployed),
      ...lacks(
        PRODUCTION,
        `secrets: !override [${secret}] in ${name}, which leaves ${MIGRATOR_SECRET} out`,
        !deployed || !schema || (deployed.secrets && !deployed.secrets.includes(MIGRATOR_SECRET)),
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
  const folders = tree.children('.').filter((folder) => tree.exists(`${folder}/Dockerfile`));
  const images = [...known, ...folders];
  const baked = [...read(BAKE).matchAll(/^ {4}"([\w-]+)",$/gm)].map(([, name]) => name!);
  const routed = tree.children('proxy/services').map((file) => file.replace(/\.conf$/, ''));
  return [
    ...services.flatMap(ofService),
    ...built
      .map(([name]) => name)
      .filter(isGone)
      .map((name) => `${COMPOSE} has the service ${name}, but services/${name} is not there.`),
    ...images.flatMap((name) => lacks(BAKE, `the line ${bakeLine(name).trim()}`, baked.includes(name))),
    ...baked
      .filter((name) => !images.includes(name))
      .map((name) => `${BAKE} has ${name}, but neither services/${name} nor ${name}/Dockerfile is there.`),
    ...routed.filter(isGone).map((name) => `${routeFile(name)} routes to ${name}, but services/${name} is not there.`),
  ];
}
