import { expect, test } from 'vitest';
import { migrations } from './migrations.ts';
import { problemsOf } from './testing.ts';

const first = 'services/a/prisma/migrations/1_init/migration.sql';
const rules = async (sql: string, file = first) =>
  (await problemsOf(migrations, { [file]: sql })).map(({ line, what }) => [line, /\(([\w-]+)\)$/.exec(what)?.[1]]);

test.for([
  ['CREATE INDEX "i" ON "T"("a");', 'require-concurrent-index-creation'],
  ['DROP INDEX "i";', 'require-concurrent-index-deletion'],
  ['ALTER TABLE "T" ADD COLUMN "a" TEXT NOT NULL;', 'adding-required-field'],
  ['ALTER TABLE "T" ALTER COLUMN "a" SET NOT NULL;', 'adding-not-nullable-field'],
  ['ALTER TABLE "T" DROP COLUMN "a";', 'ban-drop-column'],
  ['DROP TABLE "T";', 'ban-drop-table'],
  ['ALTER TABLE "T" RENAME COLUMN "a" TO "b";', 'renaming-column'],
  ['ALTER TABLE "T" RENAME TO "U";', 'renaming-table'],
  ['ALTER TABLE "T" ALTER COLUMN "a" TYPE BIGINT;', 'changing-column-type'],
  ['CREATE TABEL "T" ();', 'syntax-error'],
] as const)('%s is refused', async ([sql, rule]) => {
  expect(await rules(`-- One more.\n${sql}\n`)).toContainEqual([2, rule]);
});

test('a table of the same migration may have an index, one that was there before one that blocks nobody', async () => {
  expect(await rules('CREATE TABLE "T" ("a" TEXT NOT NULL);\nCREATE INDEX "i" ON "T"("a");\n')).toEqual([]);
  expect(await rules('CREATE INDEX CONCURRENTLY "i" ON "T"("a");\n')).toEqual([]);
  expect(await rules(`ALTER TABLE "T" ADD COLUMN "a" TEXT NOT NULL DEFAULT '';\n`)).toEqual([]);
});

test('an exemption is written above the statement, and only there', async () => {
  const drop = 'ALTER TABLE "T" DROP COLUMN "a";\n';
  const exempt = `-- Nobody has read it since 1.2.\n-- squawk-ignore ban-drop-column\n${drop}`;
  expect(await rules(exempt)).toEqual([]);
  expect(await rules(`${exempt}${drop}`)).toEqual([[4, 'ban-drop-column']]);
});

test('templates are migrations, other SQL is not', async () => {
  const template = 'tools/t/prisma/migrations/1_init/migration.sql.template';
  expect(await rules('CREATE INDEX "<%= Item %>_i" ON "<%= Item %>"("a");\n', template)).toHaveLength(1);
  expect(await rules('DROP TABLE "T";\n', 'queries/clean.sql')).toEqual([]);
});

test('what to do is said', async () => {
  const [problem] = await problemsOf(migrations, { [first]: 'DROP TABLE "T";\n' });
  expect(problem?.mend).toContain('"-- squawk-ignore ban-drop-table" above the statement');
});
