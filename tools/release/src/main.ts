import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { environment, nx } from './affected.ts';
import { versionOf } from './plan.ts';
import { publish } from './publish.ts';
import { Refusal } from './refusal.ts';
import { readRepository } from './repository.ts';

const USAGE = `Usage: npm run release [patch|minor|major|X.Y.Z] [-- --no-publish --dry-run]

With a version, on main: raises it in package.json, writes CHANGELOG.md, commits that and tags it vX.Y.Z. Then, and
without one, builds the images of the commit that is checked out and pushes them to REGISTRY, as

  :COMMIT   always
  :vX.Y.Z   where the commit has this tag, which must agree with package.json
  :stable   where it is the newest release; a preview such as 1.2.0-rc.1 is none
  :latest   where it is the newest commit of main

An image that is there is not built again. One that nothing has changed in since :latest is not built either: it gets
the new tags and keeps its digest, and the commit that it tells of.

  --no-publish   only versions and tags: for where CI publishes, once the tag is pushed
  --dry-run      says what would be done, and does nothing

Environment: REGISTRY (such as registry.example.com/acme; docker login comes before), BUILD_NUMBER, and what else
docker-bake.hcl reads: CACHE, ATTEST.
`;

const root = resolve(import.meta.dirname, '../../..');
const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main() {
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'no-publish': flag, 'dry-run': flag, help: { ...flag, short: 'h' } },
  });
  const [wanted] = positionals;
  const { REGISTRY: registry, BUILD_NUMBER: build = 'none', ...env } = process.env;
  // npm keeps options that are written without `--` before them, and hands them on in the environment.
  const dryRun = values['dry-run'] || env['npm_config_dry_run'] === 'true';
  const noPublish = values['no-publish'] || env['npm_config_publish'] === '';
  if (values.help) return void process.stdout.write(USAGE);
  if (positionals.length > 1 || (noPublish && !wanted)) throw new Refusal(USAGE.trim(), 64);
  if (!registry && !noPublish)
    throw new Refusal('REGISTRY is missing, where the images go: REGISTRY=registry.example.com/acme npm run release');

  if (wanted) release(wanted, dryRun);
  if (wanted && dryRun) return say('Nothing is committed, tagged or built: this is a dry run.');
  if (registry && !noPublish) await publish(readRepository(root), { root, registry, build, dryRun, say });
  if (wanted) say('To share it: git push --follow-tags');
}

function release(wanted: string, dryRun: boolean) {
  const repository = readRepository(root);
  const version = versionOf(repository, wanted);
  const first = repository.tags.length === 0 ? ['--first-release'] : [];
  const args = ['release', version, '--skip-publish', ...first, ...(dryRun ? ['--dry-run'] : [])];
  const { status } = spawnSync(process.execPath, [nx(root), ...args], {
    cwd: root,
    env: environment(),
    stdio: 'inherit',
  });
  if (status !== 0) throw new Refusal('nx release failed: see above, and git status for what it has left.');
}

await main().catch((error: Error & { code?: string }) => {
  const isMisspelt = error.code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`${error instanceof Refusal || isMisspelt ? error.message : error.stack}\n`);
  process.exitCode = isMisspelt ? 64 : error instanceof Refusal ? error.exitCode : 1;
});
