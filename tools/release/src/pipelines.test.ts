import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const root = resolve(import.meta.dirname, '../../..');
const read = (file: string) => parse(readFileSync(join(root, file), 'utf8'));

type GithubJob = { steps: { uses?: string; run?: string }[] };
type GitlabJob = { stage: string; script: string[] };
const github: Record<string, GithubJob> = read('.github/workflows/pipeline.yml').jobs;
const { stages, ...gitlab } = read('.gitlab-ci.yml');
const jobs = Object.entries<GitlabJob>(gitlab).filter(([, { script }]) => script);
const lines = jobs.flatMap(([, { script }]) => script);

test('both pipelines run the same commands, in the same stages', () => {
  const runs = Object.entries(github).map(([name, { steps }]) => [name, steps.flatMap(({ run }) => run ?? [])]);
  expect(runs).toEqual(jobs.map(([name, { script }]) => [name, script]));
  expect(stages).toEqual(['check', 'test', 'build', 'push', 'deploy']);
  expect(jobs.map(([name, { stage }]) => name.replace(/-.*/, '') === stage)).not.toContain(false);
});

test('every npm script is there', () => {
  const { scripts } = read('package.json');
  for (const line of lines.filter((line) => line.startsWith('npm '))) {
    const [, script = 'none'] = /^npm (?:run )?([\w:-]+)/.exec(line)!;
    expect([line, scripts[script]]).toEqual([line, expect.any(String)]);
  }
});

test('actions have a whole version', () => {
  const uses = Object.values(github).flatMap(({ steps }) => steps.flatMap(({ uses }) => uses ?? []));
  expect(uses.length).toBeGreaterThan(0);
  for (const action of uses) expect(action).toMatch(/^[\w-]+\/[\w-]+@v\d+\.\d+\.\d+$/);
});
