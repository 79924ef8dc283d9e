import { existsSync, readdirSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';

const SETTLE_MS = 100;

/**
 * Calls `changed` a moment after something in these folders was written, moved or removed; tests and hidden files do
 * not count. It watches folders: a watch on a file is lost with the first editor that replaces the file on saving.
 */
export function watchFolders(roots: string[], changed: () => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  let settled: NodeJS.Timeout | undefined;

  const forget = (folder: string) => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const look = () => {
    for (const folder of watchers.keys()) if (!existsSync(folder)) forget(folder);
    for (const folder of roots.flatMap(withSubfolders)) if (!watchers.has(folder)) observe(folder);
  };
  const observe = (folder: string) => {
    const watcher = watch(folder, (event, name) => {
      if (name?.startsWith('.') || name?.endsWith('.test.ts')) return;
      if (event === 'rename') look();
      clearTimeout(settled);
      settled = setTimeout(changed, SETTLE_MS);
    });
    watchers.set(
      folder,
      watcher.on('error', () => forget(folder)),
    );
  };
  look();
  return () => {
    clearTimeout(settled);
    for (const folder of [...watchers.keys()]) forget(folder);
  };
}

function withSubfolders(root: string): string[] {
  if (!existsSync(root)) return [];
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  return [root, ...folders.map((entry) => join(entry.parentPath, entry.name))];
}
