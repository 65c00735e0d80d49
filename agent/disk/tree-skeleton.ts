import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, open, readlink, rm, symlink, truncate } from 'node:fs/promises';
import type { Entry, FileEntry, Manifest } from '../../core/manifest.ts';
import { eachLimited } from './each-limited.ts';
import { diskError, errnoOf, ifExists } from './file-error.ts';
import { locateEntry } from './tree-location.ts';

/** While a tree is filled its owner must be able to write everywhere in it; placement sets the modes of the manifest. */
const FILLING_FILE = 0o600;
const FILLING_DIRECTORY = 0o700;

/**
 * Make every directory, symlink and (sparse, full-length) file of the job inside `treeRoot`, or what an earlier run left
 * undone of it. What stands in the way is removed: all inside belongs to Starling. Throws `disk-full` / `disk-failed`.
 */
export async function makeTree(manifest: Manifest, treeRoot: string, signal?: AbortSignal): Promise<void> {
  // The manifest does not know the root's mode: it becomes what the umask leaves, as of any new directory.
  await makeDirectory(treeRoot, 0o777);
  const locate = (entry: Entry): string => locateEntry(manifest.root, { kind: 'partial', root: treeRoot }, entry.path);
  // Sorted by path: a directory comes before what is in it.
  for (const entry of manifest.entries)
    if (entry.kind === 'directory') await makeDirectory(locate(entry), FILLING_DIRECTORY);
  await eachLimited(manifest.entries, async entry => {
    signal?.throwIfAborted();
    if (entry.kind === 'file') await makeFile(locate(entry), entry);
    else if (entry.kind === 'symlink') await makeSymlink(locate(entry), entry.target);
  });
}

/** `mode` is for a directory that is new; an old one only gets what filling it needs. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    const stats: Stats | undefined = await ifExists(lstat(path));
    if (stats?.isDirectory()) {
      if ((stats.mode & FILLING_DIRECTORY) !== FILLING_DIRECTORY) await chmod(path, stats.mode | FILLING_DIRECTORY);
      return;
    }
    if (stats) await rm(path);
    await mkdir(path, mode);
  } catch (cause) {
    throw diskError('create the directory', path, cause);
  }
}

async function makeFile(path: string, file: FileEntry): Promise<void> {
  try {
    const isNew = await createFile(path, file);
    if (!isNew) await mendFile(path, file);
  } catch (cause) {
    throw diskError('create', path, cause);
  }
}

/** False if something stands there. */
async function createFile(path: string, file: FileEntry): Promise<boolean> {
  try {
    const handle = await open(path, 'wx', FILLING_FILE);
    await handle.truncate(file.lengthBytes).finally(() => handle.close());
    return true;
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST') return false;
    throw cause;
  }
}

/** A placement that was interrupted may have made the file read-only; what is no file, or not as long, has to go. */
async function mendFile(path: string, file: FileEntry): Promise<void> {
  const stats = await lstat(path);
  if (!stats.isFile()) {
    await rm(path, { recursive: true });
    await createFile(path, file);
    return;
  }
  if ((stats.mode & FILLING_FILE) !== FILLING_FILE) await chmod(path, FILLING_FILE);
  if (stats.size !== file.lengthBytes) await truncate(path, file.lengthBytes);
}

async function makeSymlink(path: string, target: string): Promise<void> {
  try {
    const stats: Stats | undefined = await ifExists(lstat(path));
    if (stats?.isSymbolicLink() && (await readlink(path)) === target) return;
    if (stats) await rm(path, { recursive: true });
    await symlink(target, path);
  } catch (cause) {
    throw diskError('create the symlink', path, cause);
  }
}
