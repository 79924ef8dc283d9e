import { expect, test } from 'vitest';
import { dockerfiles, judged } from './dockerfiles.ts';
import { repositoryOf } from './testing.ts';

const location = { ranges: [{ start: { line: 2 } }] };

test('a warning and an error are problems, with their lines', () => {
  const warning = { ruleName: 'JSONArgsRecommended', detail: 'JSON arguments', url: 'https://example.com', location };
  expect(judged('a/Dockerfile', { warnings: [warning] })).toMatchObject({
    problems: [{ file: 'a/Dockerfile', line: 2, what: 'JSON arguments (JSONArgsRecommended)' }],
  });
  const buildError = { message: 'unknown instruction: FRM', location };
  expect(judged('Dockerfile', { warnings: null, buildError })).toMatchObject({
    problems: [{ file: 'Dockerfile', line: 2, what: 'unknown instruction: FRM' }],
  });
  expect(judged('Dockerfile', { warnings: null })).toEqual({ seen: 'Dockerfile', problems: [] });
});

test('a base image that cannot be asked for is not what is wrong with a Dockerfile', () => {
  const buildError = {
    message: 'node:26: failed to resolve source metadata for docker.io/library/node:26: no such host',
  };
  expect(judged('Dockerfile', { warnings: null, buildError })).toEqual({
    skipped: 'the base image of Dockerfile is not here and cannot be asked for',
  });
});

test('an engine finds what is wrong; without one nothing is claimed', async () => {
  const good = await dockerfiles(repositoryOf({ Dockerfile: 'FROM scratch\nCMD ["/main"]\n' }));
  const bad = await dockerfiles(repositoryOf({ 'a/Dockerfile': 'FROM scratch\nCMD main\n' }));
  if ('skipped' in good) return expect([good.skipped, bad]).toEqual([expect.stringMatching(/^no Docker engine/), good]);
  expect(good).toEqual({ seen: '1 Dockerfile', problems: [] });
  expect(bad).toMatchObject({ problems: [{ file: 'a/Dockerfile', line: 2 }] });
});
