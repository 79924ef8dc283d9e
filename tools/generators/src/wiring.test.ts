import { resolve } from 'node:path';
import { FsTree } from '@nx/devkit/internal';
import { describe, expect, test } from 'vitest';
import { disagreements } from './disagreements.ts';

const tree = () => new FsTree(resolve(import.meta.dirname, '../../..'), false);

test('every service of this repository is wired as its service.json says', () => {
  expect(disagreements(tree())).toEqual([]);
});

describe('a disagreement is told in a sentence', () => {
  const sentences: [file: string, from: string | RegExp, to: string, said: string][] = [
    [
      'docker-compose.yml',
      '?schema=roster',
      '?schema=crew',
      'lacks the schema roster in the DATABASE_URL of roster-api.',
    ],
    [
      'docker-compose.yml',
      'roster-api: { condition: service_healthy }',
      'other: { condition: service_healthy }',
      'lacks roster-api in depends_on of the proxy.',
    ],
    ['docker-compose.yml', '  exports-worker:\n', '  other:\n', 'lacks the service exports-worker.'],
    [
      'docker-compose.yml',
      'ROSTER_API_DATABASE_URL: ',
      'ROSTER_API_URL: ',
      'lacks ROSTER_API_DATABASE_URL of provision,',
    ],
    ['docker-compose.override.yml.example', '  roster-api:\n', '  other:\n', 'lacks the service roster-api.'],
    ['docker-compose.yml', '  roster-api-password: {', '  other: {', 'lacks the secret roster-api-password.'],
    [
      'docker-compose.yml',
      '    secrets: [roster-api-password, migrator-password]\n',
      '',
      'lacks the secret roster-api-password in roster-api, as its DATABASE_PASSWORD_FILE.',
    ],
    ['docker-compose.yml', ', migrator-password]', ']', 'lacks the secret migrator-password in roster-api.'],
    [
      'docker-compose.yml',
      '      - roster-api-password\n',
      '',
      'lacks the secret roster-api-password in provision, as its ROSTER_API_DATABASE_PASSWORD_FILE.',
    ],
    ['docker-compose.prod.yml', '  roster-api:\n', '  other:\n', 'lacks the service roster-api.'],
    [
      'docker-compose.prod.yml',
      /<<: \*server/g,
      'pull_policy: missing',
      'lacks MIGRATE: wait in the environment of roster-api.',
    ],
    ['docker-compose.prod.yml', /build: !reset null/g, '', 'lacks build: !reset null in roster-api.'],
    [
      'docker-compose.prod.yml',
      /secrets: !override .*/g,
      '',
      'lacks secrets: !override [roster-api-password] in roster',
    ],
    ['proxy/services/roster-api.conf', 'workers|', '', 'lacks the line "location'],
    ['docker-bake.hcl', '    "roster-api",\n', '', 'lacks the line "roster-api",.'],
    ['docker-bake.hcl', '    "proxy",\n', '', 'lacks the line "proxy",.'],
    ['docker-bake.hcl', '"proxy",', '"proxy",\n    "old-api",', 'has old-api, but neither services/old-api nor'],
    ['proxy/services/roster-api.conf', '|openapi/roster-api\\.json', '', 'lacks the line "location'],
    ['libs/jobs/src/index.ts', /.*/s, '', 'lacks the job export-workers.'],
  ];
  test.for(sentences)('%s without %s', ([file, from, to, said]) => {
    const changed = tree();
    changed.write(file, changed.read(file, 'utf8')!.replace(from, to));
    expect(disagreements(changed)).toContainEqual(expect.stringContaining(`${file} ${said}`));
  });

  test('a service that is gone', () => {
    const changed = tree();
    changed.write('proxy/services/old-api.conf', '');
    expect(disagreements(changed)).toEqual([
      'proxy/services/old-api.conf routes to old-api, but services/old-api is not there.',
    ]);
  });
});
