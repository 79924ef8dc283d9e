import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { succeeded, type ComposeStack } from '../compose/compose-stack.ts';
import { until } from '../compose/until.ts';

/**
 * Begins a verb in the stack's folder and kills it once identity-api, which is replaced first, has a container more and
 * `meanwhile` is done. Settles when its lock is gone.
 * @returns what it had said
 */
export async function killed(stack: ComposeStack, folder: string, verb: string, meanwhile?: () => Promise<void>) {
  const filters = [`project=${stack.project}`, 'service=identity-api', 'oneoff=False'];
  const list = ['ps', '--quiet', ...filters.map((filter) => `--filter=label=com.docker.compose.${filter}`)];
  const ids = async () => succeeded(await stack.docker(...list)).split('\n');
  const before = await ids();
  let ended = false;
  const ran = stack.run('sh', '-c', `echo $$ >killed.pid; exec ${verb}`).finally(() => (ended = true));
  await until('a new container', 900, async () => ended || (await ids()).some((id) => !before.includes(id)));
  if (ended) throw new Error(`${verb} has ended before: ${(await ran).output}`);
  await meanwhile?.();
  process.kill(Number(readFileSync(join(folder, 'killed.pid'), 'utf8')), 'SIGKILL');
  const { status, output } = await ran;
  expect(status).toBe(null);
  const lock = () => stack.docker('inspect', `${stack.project}-deploy`);
  await until('the end of the lock', 20, async () => (await lock()).status !== 0);
  return output;
}
