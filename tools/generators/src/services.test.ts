import { resolve } from 'node:path';
import type { Tree } from '@nx/devkit';
import { FsTree } from '@nx/devkit/internal';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { disagreements } from './disagreements.ts';
import type { Options } from './names.ts';
import { newService } from './new-service.ts';
import { Refusal } from './refusal.ts';
import { removeService } from './remove-service.ts';

const root = resolve(import.meta.dirname, '../../..');
const tree = () => new FsTree(root, false);

/** What differs from the repository, as a list of paths. */
function differences(changed: Tree) {
  const now = tree();
  return changed
    .listChanges()
    .filter(({ path, content, type }) =>
      type === 'DELETE' ? now.exists(path) : !content?.equals(now.read(path) ?? Buffer.alloc(0)),
    )
    .map(({ path }) => path);
}

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,11}$/);
const kebab = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('-'));
const options = fc.record(
  { name: kebab, resource: kebab, route: kebab.map((path) => `/api/v1/${path}`), job: kebab, database: fc.boolean() },
  { requiredKeys: ['name'] },
);
const kind = fc.constantFrom('api' as const, 'worker' as const);

describe('whatever it is called', () => {
  test(
    'a service is wired as it says, and removed to the byte; a refused one leaves no trace',
    { timeout: 60_000 },
    async () => {
      let made = 0;
      const add = async (to: Tree, [kind, options]: ['api' | 'worker', Options]) => {
        const before = differences(to);
        const names = await newService(to, kind, options).catch((error) => {
          if (!(error instanceof Refusal)) throw error;
          expect(error.message).toMatch(/^[A-Za-z][^\n]*\.$/);
          expect(differences(to)).toEqual(before);
        });
        if (names) made++;
        return names ? [names.name] : [];
      };
      await fc.assert(
        fc.asyncProperty(fc.tuple(kind, options), fc.tuple(kind, options), fc.boolean(), async (a, b, inOrder) => {
          const changed = tree();
          const names = [...(await add(changed, a)), ...(await add(changed, b))];
          expect(disagreements(changed)).toEqual([]);
          for (const name of inOrder ? names : names.toReversed()) removeService(changed, name);
          expect(differences(changed)).toEqual([]);
        }),
        { numRuns: 30 },
      );
      expect(made).toBeGreaterThan(20);
    },
  );
});

test('one that is taken is refused', async () => {
  await expect(newService(tree(), 'api', { name: 'roster' })).rejects.toThrow('services/roster-api is there already');
  await expect(newService(tree(), 'worker', { name: 'roster' })).rejects.toThrow(
    'The schema roster belongs to roster-api',
  );
  await expect(newService(tree(), 'api', { name: 'crew', resource: 'worker' })).rejects.toThrow(
    'overlaps with /api/v1/workers',
  );
  for (const route of ['/api/v1/openapi', '/api/v1/openapi/crew'])
    await expect(newService(tree(), 'api', { name: 'crew', route })).rejects.toThrow(`The route ${route} is where`);
  await expect(newService(tree(), 'worker', { name: 'mails', job: 'export-workers' })).rejects.toThrow(
    'name another job',
  );
});

test('one that others need is not removed', () => {
  expect(() => removeService(tree(), 'exports-worker')).toThrow('uses the job exportWorkers of exports-worker');
  expect(() => removeService(tree(), 'roster-api')).toThrow(
    'services/exports-worker/src/config.ts needs ROSTER_API_URL',
  );
  expect(() => removeService(tree(), 'provision')).toThrow('part of the stack itself');
  expect(() => removeService(tree(), 'nobody')).toThrow('There is no service nobody: there are');
});

describe('the templates have the shape of the reference services', () => {
  /** Its files, and what each exports, with the reference's names. */
  function shape(of: Tree, service: string, rename: [RegExp, string][] = []) {
    const renamed = (text: string) => rename.reduce((result, [from, to]) => result.replaceAll(from, to), text);
    const files = (folder: string): string[] =>
      of.children(folder).flatMap((name) => {
        if (['generated', 'node_modules', 'dist'].includes(name)) return [];
        return of.isFile(`${folder}/${name}`) ? [`${folder}/${name}`] : files(`${folder}/${name}`);
      });
    const exported = (file: string) =>
      [...of.read(file, 'utf8')!.matchAll(/^export (?:async )?(?:const|function\*?|type) (\w+)/gm)]
        .map(([, name]) => renamed(name!))
        .sort();
    return new Map(
      files(`services/${service}`).map((file) => [renamed(file.slice(`services/${service}/`.length)), exported(file)]),
    );
  }

  test('an API has that of roster-api', async () => {
    const made = tree();
    await newService(made, 'api', { name: 'sample-crew', resource: 'sample-sailor' });
    const names: [RegExp, string][] = [
      [/sample-sailor|sampleSailor/g, 'worker'],
      [/SampleSailor/g, 'Worker'],
      [/SAMPLE_SAILOR/g, 'WORKER'],
      [/SampleCrew/g, 'Roster'],
      [/20260101000000_init/g, '20261121000000_init'],
    ];
    const reference = shape(tree(), 'roster-api');
    for (const [file, exports] of shape(made, 'sample-crew-api', names)) {
      expect(reference.has(file), `roster-api has no ${file}`).toBe(true);
      expect(reference.get(file), file).toEqual(expect.arrayContaining(exports));
    }
    const onlyInReference = [...reference.keys()].filter((file) => !shape(made, 'sample-crew-api', names).has(file));
    expect(onlyInReference.filter((file) => !/export|seed|bad-input|idempotency\.test/.test(file))).toEqual([]);
    const dependencies = (of: Tree, name: string) =>
      JSON.parse(of.read(`services/${name}/package.json`, 'utf8')!).dependencies;
    const queueing = ['@keelson/jobs', '@keelson/queue'];
    const shared = Object.entries(dependencies(tree(), 'roster-api')).filter(([name]) => !queueing.includes(name));
    expect(Object.entries(dependencies(made, 'sample-crew-api'))).toEqual(shared);
  });

  test.for([true, false])('a worker has that of exports-worker (database: %s)', async (database) => {
    const made = tree();
    await newService(made, 'worker', { name: 'sample-crew', job: 'export-sailors', database });
    const names: [RegExp, string][] = [
      [/sailors/g, 'workers'],
      [/Sailors/g, 'Workers'],
      [/SampleCrew/g, 'Exports'],
    ];
    const reference = shape(tree(), 'exports-worker');
    const own = shape(made, 'sample-crew-worker', names);
    const common = [...own.keys()].filter((file) => reference.has(file));
    const fromDatabase = [...own.keys()].filter((file) => !reference.has(file));
    expect(fromDatabase.filter((file) => !/^prisma|database\.ts/.test(file))).toEqual([]);
    expect(fromDatabase.length > 0).toBe(database);
    const onlyInReference = [...reference.keys()].filter((file) => !own.has(file));
    expect(onlyInReference.filter((file) => !/csv|whole-file|testing-roster|million-rows/.test(file))).toEqual([]);
    for (const file of common.filter((file) => !file.includes('testing-')))
      expect(reference.get(file), file).toEqual(own.get(file));
  });
});
