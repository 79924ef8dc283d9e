import type { Logger } from '@keelson/logger';
import type { Database } from './database.ts';
import { hashPassword, hashSecret } from './passwords.ts';
import { ensureSigningKeys, signingKey } from './signing-keys.ts';

export type Beginning = {
  secret: string;
  administrator: { email: string; password: string };
  clients: { id: string; secret: string; scopes: string[] }[];
};

/** The database may be away. */
const AGAIN_MS = 2000;

/**
 * Puts into the database what has to be there before anybody can have a token: `begin` tries once, and goes on trying where
 * that fails, until `stop`. `reason` says why it is not done, as long as it is not.
 */
export function createSetUp(db: Database, beginning: Beginning, log: Logger) {
  let reason: string | undefined = 'the service is being set up';
  let timer: NodeJS.Timeout | undefined;
  async function begin(): Promise<void> {
    try {
      await setUp(db, beginning);
      reason = undefined;
    } catch (error) {
      reason = `the service cannot be set up: ${(error as Error).message}`;
      log.error({ err: error }, 'could not set up');
      timer = setTimeout(() => void begin(), AGAIN_MS);
    }
  }
  return { begin, stop: () => clearTimeout(timer), reason: () => reason };
}

/** May run again, and in several replicas at once. */
async function setUp(db: Database, { secret, administrator, clients }: Beginning): Promise<void> {
  await ensureSigningKeys(db, secret);
  await signingKey(db, secret); // says so where it is another secret
  if ((await db.user.count()) === 0) {
    const passwordHash = await hashPassword(administrator.password);
    const email = administrator.email.toLowerCase();
    await db.user.createMany({ data: { email, passwordHash, scopes: ['*'] }, skipDuplicates: true });
  }
  for (const { id, secret, scopes } of clients) {
    const known = { secretHash: hashSecret(secret), scopes };
    await db.client.upsert({ where: { id }, create: { id, ...known }, update: known });
  }
}
