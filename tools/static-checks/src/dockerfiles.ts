import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { counted, type Check, type Outcome, type Problem } from './check.ts';

type Location = { ranges: { start: { line: number } }[] };
type Answer = {
  warnings: { ruleName: string; detail: string; url: string; location: Location }[] | null;
  buildError?: { message: string; location?: Location };
};

/** BuildKit's own checks. They want an engine, and the base images or a way to ask for them. */
export const dockerfiles: Check = (repository) => {
  const found = repository.files.filter((file) => /(^|\/)Dockerfile$/.test(file));
  const problems: Problem[] = [];
  for (const file of found) {
    const outcome = checked(file, repository.root);
    if ('skipped' in outcome) return outcome;
    problems.push(...outcome.problems);
  }
  return { seen: counted(found.length, 'Dockerfile'), problems };
};

function checked(file: string, root: string): Outcome {
  const args = ['buildx', 'build', '--call=check,format=json', `--file=${file}`, dirname(file)];
  const { error, stdout, stderr } = spawnSync('docker', args, { cwd: root, encoding: 'utf8', timeout: 60_000 });
  if (error) return { skipped: `no Docker engine answers: ${error.message}` };
  if (!stdout.trim()) return { skipped: `no Docker engine checks them: ${stderr.trim().split('\n').at(-1)}` };
  return judged(file, JSON.parse(stdout));
}

export function judged(file: string, { warnings, buildError }: Answer): Outcome {
  if (buildError?.message.includes('failed to resolve source metadata'))
    return { skipped: `the base image of ${file} is not here and cannot be asked for` };
  const problems = (warnings ?? []).map(({ ruleName, detail, url, location }) => ({
    ...at(file, location),
    what: `${detail} (${ruleName})`,
    mend: `${url} says how; "# check=skip=${ruleName}" as the first line leaves the rule out.`,
  }));
  if (!buildError) return { seen: file, problems };
  return { seen: file, problems: [...problems, { ...at(file, buildError.location), what: buildError.message }] };
}

const at = (file: string, location?: Location) => {
  const line = location?.ranges[0]?.start.line;
  return line === undefined ? { file } : { file, line };
};
