// Whether this release can work with the database that it has: run in its container, beside the server.
import { startIssuer } from '@keelson/auth/issuer';
import { readSmokeConfig } from './config.ts';
import { smokeIdentity } from './smoke-identity.ts';

const { PORT, ...settings } = readSmokeConfig();
// The server takes the tokens of whoever is at AUTH_JWKS_URL: during a rehearsal that is this process.
const issuer = await startIssuer(settings);
await smokeIdentity(`http://127.0.0.1:${PORT}`, await issuer.token()).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
