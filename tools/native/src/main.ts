import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readNativeConfig } from './config.ts';
import { createOutput } from './output.ts';
import { findServices } from './services.ts';
import { runStack } from './stack.ts';

const USAGE = `Usage: npm start
Runs the whole stack on this machine without Docker: Postgres, the services, and a gateway in front of them.
Ctrl-C stops it. These variables are read from the environment or from .env:
  PORT        where the gateway listens (1337; 0 for a free one)
  DATA_DIR    the database, exported files and the log of Postgres (.data)
  WATCH       0: do not start services again when their files change (1)
  LOG_LEVEL   debug, info, warn or error (info)
  LOG_FORMAT  json: the services' log lines as they are (pretty)
`;

const root = resolve(import.meta.dirname, '../../..');
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
process.stdout.on('error', () => stop.abort()); // the terminal is gone
process.on('uncaughtException', fail);

try {
  const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help) process.stdout.write(USAGE);
  else {
    const config = readNativeConfig(root);
    const services = findServices(root);
    const names = ['gateway', ...services.map(({ name }) => name)];
    const { stdout: stream, stderr: errors } = process;
    const output = createOutput({ format: config.logFormat, names, stream, errors });
    output.say(`Keelson on Node ${process.versions.node}`);
    await runStack({ root, config, services, output }, stop.signal);
  }
} catch (error) {
  if (!stop.signal.aborted) fail(error as NodeJS.ErrnoException);
}

function fail({ code, path, message }: NodeJS.ErrnoException) {
  const notOurs = code === 'EACCES' && path !== undefined;
  const reason = notOurs ? `${path} belongs to another user: start as that user, or choose another DATA_DIR.` : message;
  process.stderr.write(`${reason}\n`);
  process.exitCode = 1;
  stop.abort();
}
