import { execFile } from 'node:child_process';
import type { Stats } from 'node:fs';
import { chmod, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Entry, Manifest } from '../../core/manifest.ts';
import type { DestinationPath } from './destination-path.ts';
import { eachLimited } from './each-limited.ts';
import { diskError, errnoOf, fileError, ifExists } from './file-error.ts';
import { locateEntry } from './tree-location.ts';

export type Placement = {
  readonly manifest: Manifest;
  readonly treeRoot: string;
  readonly destination: DestinationPath;
  /** `replace`: what stands at the destination is put `aside`, inside the partial directory, and the tree in its place. */
  readonly existing: 'refuse' | 'replace';
  readonly aside: string;
};

/**
 * Make a complete tree last: every file, mode and directory is on the disk when it returns. Modes go from the deepest up,
 * for nothing can be changed below a directory that has become read-only. Throws `disk-full` / `disk-failed`.
 */
export async function settleTree(manifest: Manifest, treeRoot: string): Promise<void> {
  const fileCount = manifest.entries.filter(entry => entry.kind === 'file').length;
  // The first sync takes the bytes to the disk and tells whether this can be done at all; the second one has only modes.
  if (fileCount > config.disk.syncEachMax && (await syncFileSystem(treeRoot))) {
    await eachSettled(manifest, treeRoot, setMode);
    if (await syncFileSystem(treeRoot)) return;
  }
  await eachSettled(manifest, treeRoot, setModeAndSync);
  await sync(treeRoot);
}

/**
 * Rename a settled tree to its destination. A file replaces a file in one step; a directory needs two, and between them
 * a moment without either: `restoreAside` mends a crash in that moment. Throws `destination-occupied` for what came in
 * the way meanwhile, `destination-unwritable` for what the system refuses.
 */
export async function renameIntoPlace(placement: Placement): Promise<void> {
  const { manifest, treeRoot, destination, aside } = placement;
  const [only] = manifest.entries;
  const from = manifest.root === 'file' && only ? join(treeRoot, only.path) : treeRoot;
  try {
    const standing: Stats | undefined = await ifExists(lstat(destination.path));
    const way = await wayIn(placement, standing);
    if (way === 'occupied') throw occupied(destination.path);
    if (standing && way === 'aside') await putAside(destination.path, standing, aside);
    await rename(from, destination.path);
    // A directory made for the job in advance keeps the mode it was given.
    if (standing?.isDirectory()) await chmod(destination.path, standing.mode & 0o7777);
    await sync(destination.parent);
    await sync(destination.partial);
  } catch (cause) {
    if (cause instanceof StarlingError) throw cause;
    const errno = errnoOf(cause);
    if (errno === 'ENOTEMPTY' || errno === 'EEXIST' || errno === 'EISDIR' || errno === 'ENOTDIR') {
      throw occupied(destination.path, cause);
    }
    throw fileError('destination-unwritable', `cannot rename ${from} to ${destination.path}`, cause, {
      next: `make ${destination.parent} writable and run the same command again: what is verified is kept`,
    });
  }
}

/** The opposite of the first of the two renames, after a crash before the second. */
export async function putBack(aside: string, destination: DestinationPath): Promise<void> {
  try {
    await rename(aside, destination.path);
    await sync(destination.parent);
  } catch (cause) {
    throw diskError('put back', destination.path, cause);
  }
}

/** Remove a file or a tree, read-only directories in it as well. Throws `disk-failed`. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (cause) {
    if (errnoOf(cause) !== 'EACCES') throw diskError('remove', path, cause);
    try {
      await openUp(path);
      await rm(path, { recursive: true, force: true });
    } catch (again) {
      throw diskError('remove', path, again);
    }
  }
}

/** `rename`: rename(2) does it, over what stands there: a file over a file, a directory over an empty one. */
async function wayIn(placement: Placement, standing: Stats | undefined): Promise<'rename' | 'aside' | 'occupied'> {
  const { manifest, destination, existing } = placement;
  if (standing === undefined) return 'rename';
  if (manifest.root === 'file') return existing === 'replace' && !standing.isDirectory() ? 'rename' : 'occupied';
  if (standing.isDirectory() && (await readdir(destination.path)).length === 0) return 'rename';
  return existing === 'replace' ? 'aside' : 'occupied';
}

async function putAside(path: string, standing: Stats, aside: string): Promise<void> {
  await removeTree(aside);
  // To move a directory to another parent is to write its "..", which a read-only one forbids.
  if (standing.isDirectory()) await chmod(path, standing.mode | 0o700);
  await rename(path, aside);
}

/** All files, then the directories from the deepest up. */
async function eachSettled(
  manifest: Manifest,
  treeRoot: string,
  settle: (path: string, mode: number) => Promise<void>,
): Promise<void> {
  const locate = (entry: Entry): string => locateEntry(manifest.root, { kind: 'partial', root: treeRoot }, entry.path);
  const files = manifest.entries.filter(entry => entry.kind === 'file');
  await eachLimited(files, file => settle(locate(file), file.mode));
  const directories = Map.groupBy(
    manifest.entries.filter(entry => entry.kind === 'directory'),
    directory => directory.path.split('/').length,
  );
  for (const depth of [...directories.keys()].sort((a, b) => b - a)) {
    await eachLimited(directories.get(depth) ?? [], directory => settle(locate(directory), directory.mode));
  }
}

async function setMode(path: string, mode: number): Promise<void> {
  try {
    await chmod(path, mode);
  } catch (cause) {
    throw diskError('change the mode of', path, cause);
  }
}

async function setModeAndSync(path: string, mode: number): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.chmod(mode);
      // Not datasync: the mode has to last as well.
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw diskError('sync', path, cause);
  }
}

/** syncfs(2), which Node does not have, by coreutils. False where it cannot be had, or says that it failed. */
async function syncFileSystem(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  return promisify(execFile)('sync', ['-f', path]).then(
    () => true,
    () => false,
  );
}

async function sync(directory: string): Promise<void> {
  try {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    // Some network and user-space file systems cannot sync a directory, and say so.
    if (errnoOf(cause) === 'EINVAL' || errnoOf(cause) === 'ENOTSUP') return;
    throw diskError('sync', directory, cause);
  }
}

async function openUp(directory: string): Promise<void> {
  const stats = await lstat(directory);
  if (!stats.isDirectory()) return;
  await chmod(directory, stats.mode | 0o700);
  for (const name of await readdir(directory)) await openUp(join(directory, name));
}

function occupied(path: string, cause?: unknown): StarlingError {
  return new StarlingError('destination-occupied', `${path} was created by somebody else meanwhile`, {
    next: 'move it away, or use --replace, and run the same command again: what is verified is kept',
    cause,
  });
}
