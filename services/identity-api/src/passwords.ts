import { argon2, hash, randomBytes, timingSafeEqual, type Argon2Parameters } from 'node:crypto';
import { promisify } from 'node:util';
import { Problem } from '@keelson/http';
import PQueue from 'p-queue';

/** Node.js has four threads for what is computed: others sign and verify tokens meanwhile. */
export const hashQueue = new PQueue({ concurrency: 2 });
/** So many take about two seconds, on one processor. */
const LONGEST_QUEUE = 50;

/** Does what hashes a password when it is its turn. @throws Problem 503 where too many wait for theirs */
export function inTurn<T>(act: () => Promise<T>): Promise<T> {
  if (hashQueue.size < LONGEST_QUEUE) return hashQueue.add(act);
  throw new Problem(503, 'Too many sign in at once.', { headers: { 'Retry-After': '2' } });
}

const derive = promisify((parameters: Argon2Parameters, done: (error: Error | null, key: Buffer) => void) =>
  argon2('argon2id', parameters, done),
);

/** The least that OWASP's Password Storage Cheat Sheet recommends for argon2id: 19 MiB, 2 passes, 1 lane. */
const COST = { memory: 19_456, passes: 2, parallelism: 1 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** @returns the hash with its cost and its salt, in the PHC string format @throws Problem 503 */
export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(SALT_BYTES);
  const parameters = { message: password, nonce, ...COST, tagLength: KEY_BYTES };
  return phcOf(nonce, await inTurn(() => derive(parameters)));
}

/**
 * Whether the hash is that of the password. Takes as long where there is no hash, so that nobody learns of it. Is to be
 * called `inTurn`.
 */
export async function isPassword(password: string, phc: string | undefined): Promise<boolean> {
  const [, memory, passes, parallelism, salt, key] = PHC.exec(phc ?? NOBODYS) ?? [];
  if (!salt || !key) throw new Error('A password hash in the database is not one of argon2id.');
  const expected = Buffer.from(key, 'base64');
  const found = await derive({
    message: password,
    nonce: Buffer.from(salt, 'base64'),
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: expected.length,
  });
  return timingSafeEqual(found, expected) && phc !== undefined;
}

/** For what is random and long: nobody can try it out, so it need not be slow. */
export const hashSecret = (secret: string) => hash('sha256', secret, 'base64url');

const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
const { memory, passes, parallelism } = COST;
const phcOf = (salt: Buffer, key: Buffer) =>
  `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(key)}`;
const NOBODYS = phcOf(randomBytes(SALT_BYTES), randomBytes(KEY_BYTES));
