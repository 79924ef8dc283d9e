import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Writes a file that is there in whole or not at all: under another name first, forced to the disk, then renamed
 * (rename(2) replaces in one step). What a writer that died has left of this file is removed; should it live after
 * all, its rename fails.
 * @returns its size in bytes
 */
export async function writeWhole(path: string, chunks: AsyncIterable<string>): Promise<number> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await removePartial(path);
  const partial = `${path}.${randomUUID()}.part`;
  const file = await open(partial, 'w');
  try {
    let bytes = 0;
    for await (const chunk of chunks) bytes += (await file.write(chunk)).bytesWritten;
    await file.sync();
    await file.close();
    await rename(partial, path);
    await syncFolder(folder);
    return bytes;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

/** The new name is on the disk only once its folder is (fsync(2)). */
async function syncFolder(path: string) {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

async function removePartial(path: string) {
  const partial = (name: string) => name.startsWith(`${basename(path)}.`) && name.endsWith('.part');
  const names = (await readdir(dirname(path))).filter(partial);
  await Promise.all(names.map((name) => rm(join(dirname(path), name), { force: true })));
}
