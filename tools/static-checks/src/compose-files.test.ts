import { expect, test } from 'vitest';
import { composeFiles } from './compose-files.ts';
import { brief, problemsOf } from './testing.ts';

const problems = async (service: string, file = 'docker-compose.yml') =>
  brief(await problemsOf(composeFiles, { [file]: `services:\n  a:\n    image: postgres:18-trixie\n${service}` }));

test.for([
  [`    ports: ['8080:80']\n`, 'no-unbound-port-interfaces'],
  ['    resart: always\n', 'invalid-schema'],
  ['  b:\n    image: postgres\n', 'service-image-require-explicit-tag'],
  [`    ports: ['127.0.0.1:80:80']\n  b: { ports: ['127.0.0.1:80:81'] }\n`, 'no-duplicate-exported-ports'],
  ['  a: {}\n', 'invalid-yaml'],
] as const)('%j is refused', async ([service, rule]) => {
  expect(await problems(service)).toContainEqual(expect.stringContaining(`(${rule})`));
});

test('what only Compose knows is read: merged fragments, what is taken out or put in place', async () => {
  expect(
    await problemsOf(composeFiles, {
      'more.yml': [
        'x-base: &base { restart: always }',
        'services:',
        '  a: { <<: *base, build: !reset null, depends_on: !override { b: { condition: service_healthy } } }',
        '  b: !reset {}',
        '',
      ].join('\n'),
    }),
  ).toEqual([]);
});

test('a file is known by its services, also an example', async () => {
  expect(await problems('    resart: always\n', 'docker-compose.override.yml.example')).toHaveLength(1);
  expect(await problemsOf(composeFiles, { 'other.yml': 'jobs: { resart: always }\n' })).toEqual([]);
});

test('an exemption is written above the line', async () => {
  const ports = (comment: string) => `    init: true\n${comment}    ports:\n      - '8080:80'\n`;
  expect(await problems(ports(''))).toHaveLength(1);
  expect(await problems(ports('    # dclint disable-line no-unbound-port-interfaces\n'))).toEqual([]);
});
