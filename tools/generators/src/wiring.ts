import type { Tree } from '@nx/devkit';
import { edit } from './lines.ts';
import { variableOf, type Names } from './names.ts';

export const COMPOSE = 'docker-compose.yml';
export const OVERRIDE_EXAMPLE = 'docker-compose.override.yml.example';
const OVERRIDE = 'docker-compose.override.yml';
export const PRODUCTION = 'docker-compose.prod.yml';
export const BAKE = 'docker-bake.hcl';
const ENV_TEMPLATE = '.env.template';
const ENV = '.env';
export const JOBS = 'libs/jobs/src/index.ts';
export const routeFile = (name: string) => `proxy/services/${name}.conf`;

const PORTS_PER_SERVICE = 20;

export function addWiring(tree: Tree, names: Names) {
  const isApi = names.kind === 'api';
  const ports = freePorts(tree);
  change(tree, COMPOSE, (text) => addToCompose(text, names));
  change(tree, OVERRIDE_EXAMPLE, (text) => addToOverride(OVERRIDE_EXAMPLE, text, names, ports));
  const own = tree.read(OVERRIDE, 'utf8');
  if (own?.includes('&development') && own.includes('&libs') && /^ {2}provision:/m.test(own))
    change(tree, OVERRIDE, (text) => addToOverride(OVERRIDE, text, names, ports));
  change(tree, PRODUCTION, (text) => addToProduction(text, names));
  change(tree, ENV_TEMPLATE, (text) => addToEnvTemplate(text, names, ports));
  change(tree, BAKE, (text) => addToBake(text, names.name));
  if (isApi) tree.write(routeFile(names.name), routeBlock(names));
  else change(tree, JOBS, (text) => `${text}${jobLine(names)}\n`);
}

export function removeWiring(tree: Tree, name: string, jobs: string[]) {
  const variable = variableOf(name);
  change(tree, COMPOSE, (text) => removeFromCompose(text, name));
  for (const file of [OVERRIDE_EXAMPLE, OVERRIDE, PRODUCTION])
    if (tree.exists(file))
      change(tree, file, (text) => {
        const lines = edit(file, text);
        lines.removeBlock(name);
        return lines.toString();
      });
  change(tree, ENV_TEMPLATE, (text) => removeFromEnvTemplate(text, name, variable));
  if (tree.exists(ENV)) change(tree, ENV, (text) => removeFromEnvTemplate(text, name, variable));
  change(tree, BAKE, (text) => removeFromBake(text, name));
  tree.delete(routeFile(name));
  for (const job of jobs) {
    change(tree, JOBS, (text) => text.replace(new RegExp(`^export .* from '\\./${job}\\.ts';\n`, 'm'), ''));
    tree.delete(`libs/jobs/src/${job}.ts`);
  }
}

function change(tree: Tree, file: string, by: (text: string) => string) {
  const text = tree.read(file, 'utf8') ?? '';
  const changed = by(text);
  if (changed !== text) tree.write(file, changed);
}

const databaseUrl = ({ name, role, hasDatabase, schema }: Names) =>
  `  - &${name}-url postgresql://${role}@postgres:5432/keelson${hasDatabase ? `?schema=${schema}` : ''}`;

function addToCompose(text: string, names: Names) {
  const { name, variable, kind } = names;
  const lines = edit(COMPOSE, text);
  lines.appendTo('x-database-urls', /^x-database-urls:$/, /^ {2}- &/, databaseUrl(names));
  if (kind === 'api')
    lines.appendTo('depends_on of the proxy', /^ {4}depends_on:$/, /^ {6}[\w-]+: \{/, proxyWaits(name));
  lines.insertBefore('service provision', /^ {2}provision:$/, ...composeBlock(names), '');
  lines.insertAfterLast(
    'passwords of provision',
    /^ {6}\w+_DATABASE_PASSWORD_FILE: |^ {6}DATABASE_PASSWORD_FILE: .*\/postgres-password$/,
    ...provides(name, variable),
  );
  lines.insertAfterLast('secrets of provision', /^ {6}- [\w-]+-password$/, provisionReads(name));
  lines.insertAfterLast('secrets', /^ {2}[\w-]+-password: /, secret(name));
  return lines.toString();
}

const proxyWaits = (name: string) => `      ${name}: { condition: service_healthy }`;
const provides = (name: string, variable: string) => [
  `      ${variable}_DATABASE_URL: *${name}-url`,
  `      ${variable}_DATABASE_PASSWORD_FILE: ${passwordFile(name)}`,
];
const provisionReads = (name: string) => `      - ${secretOf(name)}`;
const secret = (name: string) =>
  `  ${secretOf(name)}: { file: '\${SECRETS_DIR:?run scripts/setup first}/${secretOf(name)}' }`;
export const secretOf = (name: string) => `${name}-password`;
export const passwordFile = (name: string) => `/run/secrets/${secretOf(name)}`;
export const MIGRATOR_SECRET = secretOf('migrator');

function composeBlock({ name, variable, kind, hasDatabase }: Names) {
  const secrets = [secretOf(name), ...(hasDatabase ? [MIGRATOR_SECRET] : [])];
  return [
    `  ${name}:`,
    '    <<: *own',
    `    image: \${REGISTRY:-keelson}/${name}:\${IMAGE_TAG:-local}`,
    `    build: { <<: *build, args: { <<: *build-args, SERVICE: ${name} } }`,
    '    depends_on: *provisioned',
    '    environment:',
    '      <<: *environment',
    `      DATABASE_URL: *${name}-url`,
    `      DATABASE_PASSWORD_FILE: ${passwordFile(name)}`,
    `    secrets: [${secrets.join(', ')}]`,
    `    networks: [${kind === 'api' ? 'edge, data' : 'data'}]`,
    `    deploy: { resources: { limits: { <<: *limits, memory: '\${${variable}_MEMORY:-256m}' } } }`,
  ];
}

function removeFromCompose(text: string, name: string) {
  const lines = edit(COMPOSE, text);
  lines.removeBlock(name);
  const own = [proxyWaits(name), ...provides(name, variableOf(name)), provisionReads(name), secret(name)];
  lines.remove((line) => line.startsWith(`  - &${name}-url `) || own.includes(line));
  return lines.toString();
}

type Ports = { http: string; debug: string };

function addToOverride(file: string, text: string, names: Names, ports: Ports) {
  const lines = edit(file, text);
  lines.insertBefore('service provision', /^ {2}provision:$/, ...overrideBlock(names, ports), '');
  return lines.toString();
}

function overrideBlock({ name, variable, kind, hasDatabase }: Names, { http, debug }: Ports) {
  const folder = `services/${name}`;
  const debugger_ = `'127.0.0.1:\${${variable}_DEBUG_PORTS:-${debug}}:9229'`;
  return [
    `  ${name}:`,
    '    <<: *development',
    `    image: \${REGISTRY:-keelson}/${name}:development`,
    `    working_dir: /workspace/${folder}`,
    '    command: *watch',
    ...(kind === 'api'
      ? [
          '    environment:',
          '      <<: *version',
          '      DRAIN_MS: 0',
          '    ports:',
          `      - '127.0.0.1:\${${variable}_PORTS:-${http}}:3000'`,
          `      - ${debugger_}`,
        ]
      : ['    networks: [data, loopback]', `    ports: [${debugger_}]`]),
    '    volumes:',
    '      - *libs',
    `      - ./${folder}/src:/workspace/${folder}/src`,
    ...(hasDatabase ? [`      - ./${folder}/prisma:/workspace/${folder}/prisma`] : []),
  ];
}

function addToProduction(text: string, names: Names) {
  const lines = edit(PRODUCTION, text);
  lines.insertBefore('service provision', /^ {2}provision:$/, ...productionBlock(names), '');
  return lines.toString();
}

function productionBlock({ name, variable, kind, hasDatabase }: Names) {
  return [
    `  ${name}:`,
    '    <<: *server',
    '    build: !reset null',
    ...(hasDatabase ? [`    secrets: !override [${secretOf(name)}]`] : []),
    '    deploy:',
    '      <<: *rolling',
    `      replicas: '\${${variable}_REPLICAS:-${replicas[kind]}}'`,
    `      resources: { limits: { cpus: '\${${variable}_CPUS:-1}' } }`,
  ];
}

const replicas = { api: 2, worker: 1 };

/** The first ranges that nothing in the override files publishes yet. */
function freePorts(tree: Tree): Ports {
  const texts = [OVERRIDE_EXAMPLE, OVERRIDE].map((file) => tree.read(file, 'utf8') ?? '');
  const taken = [...texts.join('\n').matchAll(/:-(\d+)(?:-(\d+))?\}/g)].map(
    ([, from, to]) => [Number(from), Number(to ?? from)] as const,
  );
  const free = (first: number) => {
    let from = first;
    while (taken.some(([low, high]) => low < from + PORTS_PER_SERVICE && high >= from)) from += PORTS_PER_SERVICE;
    return `${from}-${from + PORTS_PER_SERVICE - 1}`;
  };
  return { http: free(8000), debug: free(9229) };
}

const portsComment = (name: string) => ({
  api: `# ${name} past the proxy, and its debugger: a port, or a range for its replicas.`,
  worker: `# The debugger of ${name}.`,
});

function addToEnvTemplate(text: string, { name, variable, kind }: Names, { http, debug }: Ports) {
  const lines = edit(ENV_TEMPLATE, text);
  const ports = kind === 'api' ? [`#${variable}_PORTS=${http}`] : [];
  lines.insertAfterLast(
    'ports of a service',
    /^#[A-Z0-9_]+_PORTS=/,
    portsComment(name)[kind],
    ...ports,
    `#${variable}_DEBUG_PORTS=${debug}`,
  );
  lines.insertAbove('PROVISION_MEMORY', /^#?PROVISION_MEMORY=/, `#${variable}_MEMORY=256m`);
  lines.insertAfterLast('replicas of a service', /^#[A-Z0-9_]+_REPLICAS=/, `#${variable}_REPLICAS=${replicas[kind]}`);
  lines.insertAbove('PROVISION_CPUS', /^#?PROVISION_CPUS=/, `#${variable}_CPUS=1`);
  return lines.toString();
}

function removeFromEnvTemplate(text: string, name: string, variable: string) {
  const lines = edit(ENV_TEMPLATE, text);
  const comments: string[] = Object.values(portsComment(name));
  lines.remove((line) => comments.includes(line) || isOwn(line, variable));
  return lines.toString();
}

const isOwn = (line: string, variable: string) =>
  new RegExp(`^#?${variable}_(PORTS|DEBUG_PORTS|MEMORY|REPLICAS|CPUS)=`).test(line);

export const bakeLine = (name: string) => `    "${name}",`;

function addToBake(text: string, name: string) {
  const lines = edit(BAKE, text);
  lines.insertAbove('image of provision', /^ {4}"provision",$/, bakeLine(name));
  return lines.toString();
}

function removeFromBake(text: string, name: string) {
  const lines = edit(BAKE, text);
  lines.remove((line) => line === bakeLine(name));
  return lines.toString();
}

const escaped = (path: string) => path.replaceAll('.', '\\.');

/** Routes an API's OpenAPI document besides its own routes. */
export const routePattern = (name: string, routes: string[]) => {
  const paths = [...routes, `/api/v1/openapi/${name}.json`].map((route) => escaped(route.replace('/api/v1/', '')));
  return `location ~ ^/api/v1/(${paths.join('|')})(/|$) {`;
};

const routeBlock = ({ name, route }: Names) => `${routePattern(name, [route])}\n  proxy_pass http://${name};\n}\n`;

const jobLine = ({ job, jobVar }: Names) => `export { ${jobVar} } from './${job}.ts';`;
