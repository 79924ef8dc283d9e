import { join } from 'node:path';
import { billOfMaterials } from './bill-of-materials.ts';
import { described, type Check } from './check.ts';
import { composeFiles } from './compose-files.ts';
import { dockerfiles } from './dockerfiles.ts';
import { licences } from './licences.ts';
import { lockfile } from './lockfile.ts';
import { migrations } from './migrations.ts';
import { openRepository } from './repository.ts';
import { secrets } from './secrets.ts';
import { shellScripts } from './shell-scripts.ts';

// Runs every check on this repository, says what each has seen, and ends with 1 where one found a problem.
const checks: Record<string, Check> = {
  migrations,
  Dockerfiles: dockerfiles,
  'Compose files': composeFiles,
  'shell scripts': shellScripts,
  secrets,
  lockfile,
  licences,
  'bill of materials': billOfMaterials,
};

try {
  const repository = openRepository(join(import.meta.dirname, '../../..'));
  for (const [name, check] of Object.entries(checks)) {
    const outcome = await check(repository);
    const title = name.padEnd(19);
    if ('skipped' in outcome) {
      console.log(`${title}skipped: ${outcome.skipped}`);
      continue;
    }
    const { seen, problems } = outcome;
    console.log(`${title}${problems.length === 0 ? 'passed' : 'FAILED'}: ${seen}`);
    for (const line of problems.flatMap(described)) console.log(line);
    if (problems.length > 0) process.exitCode = 1;
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
