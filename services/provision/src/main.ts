import { provision, reasonOf, waitForPostgres } from '@keelson/postgres';
import { installQueue } from '@keelson/queue';
import { readProvisionConfig } from './config.ts';

const { adminUrl, roles, waitSeconds } = readProvisionConfig();
const say = (line: string) => process.stderr.write(`${line}\n`);

try {
  await waitForPostgres(adminUrl, { seconds: waitSeconds, say });
  await provision(adminUrl, roles, say);
  await installQueue(adminUrl, say);
  say(`provided for ${roles.serviceUrls.length} services and the queue`);
} catch (error) {
  say(reasonOf(error));
  process.exitCode = 1;
}
