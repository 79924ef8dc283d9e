import { Refusal } from './refusal.ts';

const NAMED = ['resource', 'route', 'job'];
const FLAGS = ['dry-run', 'with-uncommitted-changes'];

/**
 * npm keeps options that are written without `--` before them, and hands them on in the environment: `--dry-run` as
 * npm_config_dry_run=true, `--route=/x` as npm_config_route=/x, and of `--route /x` it leaves the value among the words.
 */
export function withNpmOptions(args: string[], env: Record<string, string | undefined>): string[] {
  if (!env['npm_lifecycle_event']) return args;
  const kept = [...args];
  const added: string[] = [];
  for (const flag of FLAGS)
    if (env[`npm_config_${flag.replaceAll('-', '_')}`] === 'true' && !kept.includes(`--${flag}`))
      added.push(`--${flag}`);
  if (env['npm_config_database'] !== undefined && env['npm_config_database'] !== 'true') added.push('--no-database');
  const given = NAMED.filter((name) => env[`npm_config_${name}`]);
  const split = given.filter((name) => env[`npm_config_${name}`] === 'true');
  if (split.length > 1)
    throw new Refusal(
      `npm keeps options for itself: write -- before them, as in npm run new api orders -- --${split.join(' x --')} x.`,
    );
  for (const name of given) {
    const value = env[`npm_config_${name}`]!;
    const own = value === 'true' ? kept.splice(3, 1)[0] : value;
    if (own === undefined) throw new Refusal(`--${name} needs a value.`);
    added.push(`--${name}=${own}`);
  }
  return [...kept, ...added];
}
