import { createTestDatabase } from '@keelson/postgres/testing';
import { afterAll, expect, test } from 'vitest';
import { startApi } from './checked-api.ts';
import { smokeIdentity } from './smoke-identity.ts';

const database = await createTestDatabase();
const { url, issuer, db, stop } = await startApi(database.url);
afterAll(async () => {
  await stop();
  await database.drop();
});

const token = await issuer.token();
const smoke = () => smokeIdentity(url, token);
const sql = database.asMigrator;

test('passes, as often as it is run, and leaves nobody', async () => {
  await smoke();
  await smoke();
  expect([await db.user.count(), await db.refreshToken.count()]).toEqual([1, 0]);
});

test('passes without what only the release before knows, so that the next one may drop it', async () => {
  await sql('ALTER TABLE "RefreshToken" DROP COLUMN "usedAt"');
  await smoke();
  await sql('ALTER TABLE "RefreshToken" ADD COLUMN "usedAt" TIMESTAMPTZ(3)');
});

test.each(['User', 'RefreshToken', 'SigningKey', 'SignInAttempts'])('fails without the table %s', async (table) => {
  await sql(`ALTER TABLE "${table}" RENAME TO gone`);
  await expect(smoke()).rejects.toThrow(/answers 50\d, not 20\d/);
  await sql(`ALTER TABLE gone RENAME TO "${table}"`);
});
