import { createHash } from 'node:crypto';

// What makes a stack file of a Compose configuration. scripts/swarm runs this file in a container of the release, as it is:
// it imports nothing but what Node.js has.

type Fields = Record<string, unknown>;
type Deploy = Fields & { mode?: string; resources?: { limits?: Fields }; placement?: { constraints?: string[] } };
type Mount = Fields & { type: string; source?: string; target: string };
type Secret = { source: string; target: string };
type Port = { target: number; published?: string; protocol?: string };
type Service = Fields & {
  deploy?: Deploy;
  labels?: Fields;
  volumes?: Mount[];
  tmpfs?: string[];
  shm_size?: string;
  secrets?: Secret[];
  ports?: Port[];
  restart?: string;
};
type Network = Fields & { external?: boolean };
type Volume = Fields & { driver_opts?: Fields };

/** What `docker compose config --format json` prints, as far as it is read here. */
export type ComposeConfig = {
  name: string;
  services: Record<string, Service>;
  networks?: Record<string, Network>;
  volumes?: Record<string, Volume>;
  secrets?: Record<string, { file: string }>;
};

export type StackFileOptions = {
  /** Those that are to be in it. */
  services: string[];
  /** What tells the content of each secret from another. */
  digests?: Record<string, string>;
  /** What the volume `certificates` holds: a folder on this machine, who may read the key, and what tells it from another. */
  certificate?: { folder: string; owner: string; digest: string };
};

const CERTIFICATES = 'certificates';
const CERTIFICATE_FILES = ['fullchain.pem', 'privkey.pem'];

// Swarm has no order of services: each waits for what it needs. It takes images from where they are. `restart` becomes a
// restart policy. There is no no_new_privileges for a service: it is a setting of the engine.
const UNKNOWN_TO_SWARM = ['build', 'cpu_shares', 'depends_on', 'profiles', 'pull_policy', 'restart', 'security_opt'];
const TRANSLATED = ['deploy', 'labels', 'ports', 'secrets', 'shm_size', 'tmpfs', 'volumes'];
// However many containers there are and however they are replaced, they are the same.
const OF_NO_CONTAINER = ['replicas', 'update_config', 'rollback_config'];

/** The stack file, older schema and all, for `docker stack deploy`: JSON, which is YAML, too. */
export function stackFile(config: ComposeConfig, options: StackFileOptions) {
  const secrets = secretsOf(config, options);
  const services = mapped(
    chosen(config.services, (name) => options.services.includes(name)),
    (service) => asTasks(service, config, secrets, options),
  );
  const isUsed = (kind: 'volumes' | 'secrets', name: string) =>
    Object.values(services).some((service) => service[kind].some((used: { source?: string }) => used.source === name));
  return {
    services,
    networks: mapped(config.networks, overlay),
    volumes: chosen(config.volumes, (name) => isUsed('volumes', name)),
    secrets: chosen(secrets, (name) => isUsed('secrets', name)),
  };
}

type Secrets = Record<string, { name: string; file: string }>;

function asTasks(service: Service, config: ComposeConfig, known: Secrets, { certificate }: StackFileOptions) {
  const kept = Object.entries(service).filter(
    ([key, value]) => value !== null && !UNKNOWN_TO_SWARM.includes(key) && !TRANSLATED.includes(key),
  );
  const mounts = service.volumes ?? [];
  const certificates = certificate ? mounts.filter(({ source }) => source === CERTIFICATES) : [];
  const volumes = mounts.filter((mount) => !certificates.includes(mount));
  const secrets = [
    ...(service.secrets ?? []),
    ...certificates.flatMap(({ target }) => certificateIn(target, certificate!.owner)),
  ];
  const ports = (service.ports ?? []).map(({ target, published, protocol }) => ({
    target,
    published: Number(published),
    protocol,
    mode: 'host',
  }));
  const tasks = {
    ...Object.fromEntries(kept),
    ...(ports.length && { ports }),
    secrets,
    volumes: [...volumes, ...inMemory(service)],
    deploy: deployment(service, config, volumes),
  };
  const made = chosen(tasks.deploy, (key) => !OF_NO_CONTAINER.includes(key));
  const definition = digestOf([{ ...tasks, deploy: made }, secrets.map(({ source }) => known[source]?.name)]);
  return { ...tasks, labels: { ...service.labels, 'keelson.definition': definition } };
}

function deployment({ deploy = {}, restart }: Service, config: ComposeConfig, volumes: Mount[]): Deploy {
  const { resources, placement, ...rest } = deploy;
  const constraints = [...(placement?.constraints ?? [])];
  if (deploy.mode !== 'global' && volumes.some((mount) => isLocal(mount, config)))
    constraints.push(`node.labels.${config.name}.data == true`);
  return {
    restart_policy: { condition: conditionOf(restart) },
    ...rest,
    ...(resources && { resources: withTexts(resources) }),
    ...(constraints.length && { placement: { ...placement, constraints } }),
  };
}

/** A volume is its node's own, unless its driver keeps it elsewhere. */
function isLocal({ type, source }: Mount, { volumes }: ComposeConfig) {
  return type === 'volume' && !volumes?.[source ?? '']?.driver_opts;
}

function conditionOf(restart = 'no') {
  if (restart === 'no') return 'none';
  return restart.startsWith('on-failure') ? 'on-failure' : 'any';
}

/** The schema wants a number of processors as text. */
function withTexts({ limits = {}, ...rest }: NonNullable<Deploy['resources']>) {
  const { cpus, ...others } = limits;
  return { ...rest, limits: { ...others, ...(cpus !== undefined && { cpus: String(cpus) }) } };
}

/** Swarm mounts each for everybody, and with nosuid, nodev and noexec. */
function inMemory({ tmpfs = [], shm_size }: Service) {
  const mounts = tmpfs.map((mount): (string | undefined)[] => {
    const [target, options = ''] = mount.split(':');
    return [target, /(?:^|,)size=(\w+)/.exec(options)?.[1]];
  });
  if (shm_size) mounts.push(['/dev/shm', shm_size]);
  return mounts.map(([target, size]) => ({ type: 'tmpfs', target, ...(size && { tmpfs: { size: bytes(size) } }) }));
}

function bytes(size: string) {
  const [, number, unit] = /^(\d+)([kmg]?)b?$/i.exec(size) ?? [];
  if (!number) throw new Error(`${size} is no size of a tmpfs.`);
  return Number(number) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit!.toLowerCase());
}

function certificateIn(folder: string, owner: string) {
  return CERTIFICATE_FILES.map((file) => ({
    source: file,
    target: `${folder}/current/${file}`,
    uid: owner,
    gid: owner,
    mode: 0o400,
  }));
}

/** A secret of Swarm cannot be changed, so what is new has another name. */
function secretsOf({ name: project, secrets }: ComposeConfig, { digests, certificate }: StackFileOptions): Secrets {
  const inSwarm = (name: string, file: string, digest = '') => ({ name: `${project}_${name}-${digest}`, file });
  const files = certificate ? CERTIFICATE_FILES : [];
  return {
    ...Object.fromEntries(
      files.map((file) => [file, inSwarm(file, `${certificate!.folder}/${file}`, certificate!.digest)]),
    ),
    ...mapped(secrets, ({ file }, name) => inSwarm(name, file, digests?.[name])),
  };
}

/** Attachable for the containers that a deploy runs besides. */
function overlay({ external, ...network }: Network): Network {
  if (external) return { name: network['name'], external };
  const { name, internal, driver_opts } = network;
  return {
    name,
    ...(internal ? { internal } : {}),
    driver_opts: { encrypted: '', ...(driver_opts as object) },
    driver: 'overlay',
    attachable: true,
  };
}

function chosen<T>(all: Record<string, T> | undefined, isWanted: (name: string) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(all ?? {}).filter(([name]) => isWanted(name)));
}

function mapped<T, U>(all: Record<string, T> | undefined, change: (value: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(all ?? {}).map(([name, value]) => [name, change(value, name)]));
}

const digestOf = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
