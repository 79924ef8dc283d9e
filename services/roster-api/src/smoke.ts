// Whether this release can work with the database that it has: run in its container, beside the server.
import { readSmokeConfig } from './config.ts';
import { smokeWorkers } from './smoke-workers.ts';

await smokeWorkers(`http://127.0.0.1:${readSmokeConfig().PORT}`).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
