// Run by scripts/token: an access token in the name of the first administrator.
import { parseArgs } from 'node:util';
import { issueAccessToken } from './access-token.ts';
import { readSigningConfig } from './config.ts';
import { granted, scopeText } from './scopes.ts';
import { withDatabase } from './with-database.ts';

const { values } = parseArgs({ options: { scope: { type: 'string' } } });
const { AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience, SIGNING_KEYS_SECRET: secret, DATABASE_URL } = readSigningConfig();

await withDatabase(DATABASE_URL, async (db) => {
  const asked = scopeText.optional().safeParse(values.scope);
  if (!asked.success) throw new Error(`--scope ${asked.error.issues[0]!.message}`);
  const first = await db.user.findFirst({ where: { scopes: { has: '*' } }, orderBy: { createdAt: 'asc' } });
  if (!first) throw new Error('There is no administrator: nobody has the scope *.');
  const scopes = granted(first.scopes, asked.data);
  const token = await issueAccessToken({ db, secret, issuer, audience }, { subject: first.id, scopes });
  process.stdout.write(`${token}\n`);
});
