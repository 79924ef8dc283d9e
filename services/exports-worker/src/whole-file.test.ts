import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeWhole } from './whole-file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'whole-file-'));
  path = join(folder, 'exports', 'a.csv');
});
afterEach(() => rmSync(folder, { recursive: true }));

const files = () => readdirSync(join(folder, 'exports')).toSorted();
async function* chunks(...texts: (string | Error)[]) {
  for (const text of texts) {
    if (text instanceof Error) throw text;
    yield text;
  }
}

test('makes the folder, and says how many bytes it wrote', async () => {
  expect(await writeWhole(path, chunks('Zoë\r\n', '', '船\r\n'))).toBe(11);
  expect(readFileSync(path, 'utf8')).toBe('Zoë\r\n船\r\n');
  expect(files()).toEqual(['a.csv']);
});

test('a whole file gives way to a whole one only', async () => {
  await writeWhole(path, chunks('old'));
  async function* slowly() {
    for (const text of ['n', 'e', 'w']) {
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(files()).toEqual(['a.csv', expect.stringMatching(/^a\.csv\..*\.part$/)]);
      yield text;
    }
  }
  await writeWhole(path, slowly());
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(files()).toEqual(['a.csv']);
});

test.for([0, 1, 100])('what fails after %d chunks leaves nothing', async (n) => {
  const source = chunks(...Array<string>(n).fill('x'.repeat(10_000)), new Error('the source broke'));
  await expect(writeWhole(path, source)).rejects.toThrow('the source broke');
  expect(files()).toEqual([]);
});

test('what fails in the middle leaves the file that was there', async () => {
  await writeWhole(path, chunks('old'));
  await expect(writeWhole(path, chunks('half', new Error('the source broke')))).rejects.toThrow('the source broke');
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(files()).toEqual(['a.csv']);
});

test('removes what a writer that died has left of this file, and nothing else', async () => {
  mkdirSync(join(folder, 'exports'));
  for (const name of ['a.csv.1.part', 'a.csv.2.part', 'b.csv.1.part', 'a.csv.txt'])
    writeFileSync(join(folder, 'exports', name), '');
  await writeWhole(path, chunks('new'));
  expect(files()).toEqual(['a.csv', 'a.csv.txt', 'b.csv.1.part']);
});

test('of two writers one fails, and the file is whole', async () => {
  const release = Promise.withResolvers<undefined>();
  async function* first() {
    yield 'first';
    await release.promise;
  }
  const slower = writeWhole(path, first());
  await expect.poll(files).toHaveLength(1);
  await writeWhole(path, chunks('second'));
  release.resolve(undefined);
  await expect(slower).rejects.toThrow('The file could not be written: no such file or directory (ENOENT).');
  expect(readFileSync(path, 'utf8')).toBe('second');
  expect(files()).toEqual(['a.csv']);
});

test('a folder that cannot be made is told in a sentence', async () => {
  writeFileSync(join(folder, 'exports'), 'not a folder');
  await expect(writeWhole(path, chunks('text'))).rejects.toThrow(
    'The file could not be written: file already exists (EEXIST).',
  );
});

// A limit of the process cuts a write short as a full disk does, and needs no disk to fill.
test.for([
  ['at once', [100_000]],
  ['with its last bytes', [30_000, 2769]],
] as const)('a disk that is full %s is told in a sentence, and nothing is left', async ([, sizes]) => {
  const script = `
    const { writeWhole } = await import(${JSON.stringify(import.meta.resolve('./whole-file.ts'))});
    async function* chunks() { for (const size of ${JSON.stringify(sizes)}) yield 'x'.repeat(size); }
    process.stdout.write(await writeWhole(${JSON.stringify(path)}, chunks()).then(String, (error) => error.message));`;
  const limited = `trap '' XFSZ; ulimit -f 64; exec "$0" --input-type=module --eval "$1"`; // 64 × 512 bytes
  const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, script]);
  expect(stdout).toBe('The file could not be written: file too large (EFBIG).');
  expect(files()).toEqual([]);
});
