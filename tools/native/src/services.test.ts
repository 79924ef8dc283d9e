import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findServices, variableName } from './services.ts';
import { sourceFolders } from './source-folders.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'keelson-services-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function project(path: string, dependencies: string[], service?: object) {
  const folder = join(root, path);
  mkdirSync(join(folder, 'src'), { recursive: true });
  const named = Object.fromEntries(dependencies.map((name) => [name, '*']));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ version: '1.2.3', dependencies: named }));
  if (service) writeFileSync(join(folder, 'service.json'), JSON.stringify(service));
  return folder;
}

test('a service is a folder that says what it is', () => {
  const folder = project('services/orders-api', [], { kind: 'api', routes: ['/api/v1/orders'], schema: 'orders' });
  project('services/mailer', [], { kind: 'worker' });
  project('services/notes', []);
  project('services/way-in', [], { kind: 'ingress' });
  expect(findServices(root)).toEqual([
    expect.objectContaining({ name: 'mailer', kind: 'worker', routes: [] }),
    { name: 'orders-api', kind: 'api', routes: ['/api/v1/orders'], schema: 'orders', folder },
  ]);
});

test('a description that is wrong is named, with what is wrong', () => {
  project('services/orders-api', [], { kind: 'app' });
  expect(() => findServices(root)).toThrow(/^services\/orders-api\/service\.json cannot be used: .*kind/s);
});

test('variables name a service in capitals', () => {
  expect(variableName('roster-api')).toBe('ROSTER_API');
});

test("a service's code is its own and that of the libs it depends on, however far", () => {
  const folder = project('services/orders-api', ['@keelson/http', 'express']);
  project('libs/http', ['@keelson/logger']);
  project('libs/logger', []);
  project('libs/queue', []);
  mkdirSync(join(folder, 'generated'));
  expect(sourceFolders(root, folder)).toEqual(
    ['services/orders-api/src', 'services/orders-api/generated', 'libs/http/src', 'libs/logger/src'].map((path) =>
      join(root, path),
    ),
  );
});
