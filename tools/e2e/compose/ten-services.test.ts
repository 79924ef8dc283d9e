import { appendFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { serves } from '../generated/serves.ts';
import { openComposeStack, succeeded, WAY_IN, type ComposeStack } from './compose-stack.ts';
import { freshClone, root, services } from './fresh-clone.ts';

// Ten APIs and workers, most of them from the templates: that they run side by side, and what `docker compose build`
// makes anew.

vi.setConfig({ testTimeout: 600_000 }); // each builds images

const SAMPLES = ['anchors', 'bilges', 'cabins', 'decks', 'engines', 'flags', 'gangways', 'hatches'];

const clone = freshClone();
let stack: ComposeStack;
let names: string[];

beforeAll(async () => {
  stack = await openComposeStack(clone.folder, 'keelson-e2e-ten', { COMPOSE_FILE: 'docker-compose.yml:way-in.yml' });
  await stack.remove();
  writeFileSync(join(clone.folder, 'way-in.yml'), WAY_IN);
  symlinkSync(join(root, 'node_modules'), join(clone.folder, 'node_modules'));
  for (const [index, sample] of SAMPLES.slice(0, 10 - services.length).entries())
    await addService(index % 4 === 3 ? 'worker' : 'api', sample);
  succeeded(await stack.run('scripts/setup'));
  const all = succeeded(await stack.compose('config', '--services'))
    .split('\n')
    .toSorted();
  names = all.filter((name) => !['postgres', 'adminer'].includes(name));
  succeeded(await stack.compose('build'));
});
afterAll(async () => {
  await stack.remove();
  clone.remove();
});

const addService = async (kind: string, sample: string) =>
  succeeded(await stack.run(process.execPath, 'tools/generators/src/main.ts', 'new', kind, `sample-${sample}`));

const ids = async () => {
  const images = names.map((name) => `${stack.project}/${name}:local`);
  return succeeded(await stack.docker('image', 'inspect', '--format={{.Id}}', ...images)).split('\n');
};

/** The images that have another digest afterwards. */
async function rebuiltAfter(change: () => unknown) {
  const before = await ids();
  await change();
  succeeded(await stack.compose('build'));
  const after = await ids();
  return names.filter((_, index) => after[index] !== before[index]);
}

const rebuiltBy = (file: string, line = "console.error('changed');") =>
  rebuiltAfter(() => appendFileSync(join(clone.folder, file), `${line}\n`));

const apis = () => names.filter((name) => name.endsWith('-api'));

test('each is served through the proxy, and its role refused at the tables of others', async () => {
  await stack.up();
  const [mine, other] = apis().filter((name) => name.startsWith('sample-'));
  for (const name of [mine!, other!])
    await serves(stack.url, `/api/v1/${name.replace(/-api$/, '')}`, await stack.authorization());
  const role = mine!.replaceAll('-', '_');
  const schema = other!.replace(/-api$/, '').replaceAll('-', '_');
  const refused = async (sql: string) =>
    (await stack.run('scripts/psql', '--compose', mine!, `--command=${sql}`)).output.trim();
  expect(await refused('SELECT FROM roster."Worker"')).toMatch(/^ERROR: {2}permission denied for schema roster$/m);
  expect(await refused(`CREATE TABLE ${schema}.t ()`)).toMatch(`permission denied for schema ${schema}`);
  expect(await refused('SELECT current_user')).toContain(role);
  succeeded(await stack.compose('down'));
});

test('a line of a service is one image', async () => {
  expect(names.filter((name) => /-(api|worker)$/.test(name)).length).toBeGreaterThanOrEqual(10);
  expect(await rebuiltBy('services/roster-api/src/app.ts')).toEqual(['roster-api']);
});

test('a line of a lib is the images of the services that use it', async () => {
  expect(await rebuiltBy('libs/http/src/paging.ts')).toEqual(apis());
});

test('a line of the proxy is its own image', async () => {
  expect(await rebuiltBy('proxy/nginx.conf', '# changed')).toEqual(['proxy']);
});

test('a line of a test is none', async () => {
  expect(await rebuiltBy('libs/http/src/api.test.ts')).toEqual([]);
});

test('another worker, and with it new manifests and a new job, leaves all as they are', async () => {
  expect(await rebuiltAfter(() => addService('worker', 'islands'))).toEqual([]);
});
