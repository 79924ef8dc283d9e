import type { Logger } from '@keelson/logger';
import type { Database } from './database.ts';
import { hashPassword, hashSecret } from './passwords.ts';
import { ensureSigningKeys, signingKey, signingKeyId } from './signing-keys.ts';

export type Beginning = {
  secret: string;
  administrator: { email: string; password: string };
  clients: Client[];
};
type Client = { id: string; secret: string; scopes: string[] };

/** The database may be away, or may have been emptied by scripts/db reset. */
const AGAIN_MS = 2000;
/** By then a deploy is over, or this process is: nobody needs what this release does not know any more. */
const ALONE_MS = 300_000;

/**
 * Sees to it that what has to be there before anybody can have a token is in the database: `begin` looks once, and goes on
 * looking until `stop`. `reason` says why it is not there, as long as it is not.
 */
export function createSetUp(db: Database, beginning: Beginning, log: Logger) {
  let reason: string | undefined = 'the service is being set up';
  /** The key that signed when all was there. */
  let signing: string | undefined;
  const start = Date.now();
  const done = { clients: false, others: false };
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  async function begin(): Promise<void> {
    const before = reason;
    reason = await look().then(
      () => undefined,
      (error: Error) => `the service cannot be set up: ${error.message}`,
    );
    if (reason && reason !== before) log.error({ reason }, 'could not set up');
    if (!stopped) timer = setTimeout(() => void begin(), AGAIN_MS);
  }
  async function look() {
    const { clients } = beginning;
    if (!done.clients) await takeClients(db, clients);
    done.clients = true;
    if (!done.others && Date.now() - start > ALONE_MS) {
      await db.client.deleteMany({ where: { id: { notIn: clients.map(({ id }) => id) } } });
      done.others = true;
    }
    if (signing && (await isThere(db, clients, signing))) return;
    signing = await setUp(db, beginning);
  }
  function stop() {
    stopped = true;
    clearTimeout(timer);
  }
  return { begin, stop, reason: () => reason };
}

/** As this release knows them. Only at the start: of two that run side by side, each would undo what the other wrote. */
async function takeClients(db: Database, clients: Client[]) {
  for (const { id, ...known } of clients.map(toRow))
    await db.client.upsert({ where: { id }, create: { id, ...known }, update: known });
}

async function isThere(db: Database, clients: Client[], signing: string): Promise<boolean> {
  const known = await db.client.count({ where: { id: { in: clients.map(({ id }) => id) } } });
  return known === clients.length && signing === (await signingKeyId(db)) && (await db.user.count()) > 0;
}

/** May run again, and in several replicas at once. @returns the id of the key that signs */
async function setUp(db: Database, { secret, administrator, clients }: Beginning): Promise<string> {
  await ensureSigningKeys(db, secret);
  const { id: signing } = await signingKey(db, secret); // says so where it is another secret
  if ((await db.user.count()) === 0) {
    const passwordHash = await hashPassword(administrator.password);
    const email = administrator.email.toLowerCase();
    await db.user.createMany({ data: { email, passwordHash, scopes: ['*'] }, skipDuplicates: true });
  }
  await db.client.createMany({ data: clients.map(toRow), skipDuplicates: true });
  return signing;
}

const toRow = ({ id, secret, scopes }: Client) => ({ id, secretHash: hashSecret(secret), scopes });
