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
    ['.env.template', 'ROSTER_API_PASSWORD=', '', 'lacks ROSTER_API_PASSWORD=.'],
    ['proxy/services/roster-api.conf', 'workers|', '', 'lacks the line "location'],
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
