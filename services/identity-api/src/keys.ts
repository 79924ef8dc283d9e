// Run by scripts/keys: lets the next key sign.
import { parseArgs } from 'node:util';
import { readSigningConfig } from './config.ts';
import { publicKeys, rotateSigningKeys } from './signing-keys.ts';
import { withDatabase } from './with-database.ts';

const { values } = parseArgs({ options: { compromised: { type: 'boolean', default: false } } });
const { SIGNING_KEYS_SECRET, DATABASE_URL } = readSigningConfig();

await withDatabase(DATABASE_URL, async (db) => {
  const id = await rotateSigningKeys(db, SIGNING_KEYS_SECRET, values);
  process.stdout.write(`the key ${id} signs now; ${(await publicKeys(db)).length} keys are published\n`);
});
