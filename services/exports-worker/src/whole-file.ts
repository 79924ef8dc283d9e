import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { getSystemErrorMessage } from 'node:util';

/**
 * Writes a file that is there in whole or not at all: under another name first, forced to the disk, then renamed
 * (rename(2) replaces in one step). What a writer that died has left of this file is removed; should it live after
 * all, its rename fails.
 * @returns its size in bytes
 * @throws Error with a sentence, where the file system refuses; what `chunks` throws, as it is
 */
export async function writeWhole(path: string, chunks: AsyncIterable<string>): Promise<number> {
  const folder = dirname(path);
  const partial = `${path}.${randomUUID()}.part`;
  try {
    await mkdir(folder, { recursive: true });
    await removePartial(path);
    const file = (await open(partial, 'w')).createWriteStream({ flush: true });
    await pipeline(chunks, file);
    await rename(partial, path);
    await syncFolder(folder);
    return file.bytesWritten;
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    const { syscall, errno, code } = error as NodeJS.ErrnoException;
    if (!syscall) throw error;
    throw new Error(`The file could not be written: ${getSystemErrorMessage(errno!)} (${code}).`, { cause: error });
  }
}

/** Removes what writers of this file have left that died. */
export async function removePartial(path: string) {
  const partial = (name: string) => name.startsWith(`${basename(path)}.`) && name.endsWith('.part');
  const names = (await readdir(dirname(path))).filter(partial);
  await Promise.all(names.map((name) => rm(join(dirname(path), name), { force: true })));
}

/** The new name is on the disk only once its folder is (fsync(2)). */
async function syncFolder(path: string) {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}
