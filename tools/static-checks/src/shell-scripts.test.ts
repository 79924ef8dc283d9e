import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { isShellScript, shellScripts } from './shell-scripts.ts';
import { brief, problemsOf, repositoryOf } from './testing.ts';

const isInstalled = !spawnSync('shellcheck', ['--version']).error;

test('a script is known by its first line, where it has no extension', () => {
  const { files, read } = repositoryOf({
    deploy: '#!/usr/bin/env bash\n',
    'entrypoint.sh': '# Sourced.\n',
    setup: '#!/bin/sh\n',
    tool: '#!/usr/bin/env node\n',
    'README.md': '#!/bin/sh\n',
    LICENSE: 'MIT\n',
  });
  expect(files.filter((file) => isShellScript(file, read))).toEqual(['deploy', 'entrypoint.sh', 'setup']);
});

test.runIf(isInstalled)('what is unsafe is refused', async () => {
  expect(brief(await problemsOf(shellScripts, { clean: '#!/bin/sh\nrm -r $1\n' }))).toEqual([
    expect.stringMatching(/^clean:2 Double quote .* \(SC2086\)$/),
  ]);
  expect(await problemsOf(shellScripts, { clean: '#!/bin/sh\nrm -r "$1"\n' })).toEqual([]);
});

test.runIf(isInstalled)('only what is sourced may use variables of others', async () => {
  const text = 'say() { echo "$greeting"; }\n';
  expect(await problemsOf(shellScripts, { 'part.sh': `# shellcheck shell=sh\n${text}` })).toEqual([]);
  expect(await problemsOf(shellScripts, { whole: `#!/bin/sh\n${text}say\n` })).toHaveLength(1);
});

test('without shellcheck that is said', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '';
  try {
    expect(await shellScripts(repositoryOf({}))).toEqual({ skipped: 'shellcheck not installed' });
  } finally {
    process.env['PATH'] = path;
  }
});
