import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { ScannedEntry } from '../../core/tree-layout.ts';
import { checkTree } from '../../core/tree-path.ts';
import { eachLimited } from './each-limited.ts';
import { fileError, ifExists } from './file-error.ts';

/** What a publisher found on its disk at one moment. */
export type SourceTree = {
  readonly root: Manifest['root'];
  /** Sorted by path, and checked: every path is safe to publish. */
  readonly entries: readonly ScannedEntry[];
  readonly lengthBytes: Bytes;
  /** Of each entry: text that differs when its bytes may differ. */
  readonly snapshots: ReadonlyMap<string, string>;
  /** Where an entry lies on this machine. */
  readonly locate: (entryPath: string) => string;
};

type Found = { readonly entry: ScannedEntry; readonly snapshot: string };

/**
 * Look at a file or a directory that is to be published. Symlinks inside are kept as they are; `path` itself may be one
 * and is followed. Permission bits are kept, owners and times are not. Throws `source-unreadable` (also for sockets,
 * pipes, devices and names that are not UTF-8), or `unsafe-path` for what no receiver could place safely.
 */
export async function scanSource(path: string, signal?: AbortSignal): Promise<SourceTree> {
  const given = resolve(path);
  const stats = await reading(given, () => stat(given, { bigint: true }));
  if (stats.isFile()) {
    const found = { entry: fileEntry(basename(given), stats), snapshot: snapshotOf(stats) };
    const real = await reading(given, () => realpath(given));
    return tree('file', [found], () => real);
  }
  if (!stats.isDirectory()) throw unpublishable(given, stats);
  const root = await reading(given, () => realpath(given));
  const found: Found[] = [];
  // By level: a whole level is looked at in parallel, and there are no more levels than names in a path.
  for (let level = ['']; level.length > 0; ) {
    signal?.throwIfAborted();
    const paths: string[] = [];
    await eachLimited(level, async directory => {
      for (const path of await listDirectory(root, directory)) paths.push(path);
      if (found.length + paths.length > config.manifest.entriesMax) throw tooMany(given);
    });
    const below: string[] = [];
    await eachLimited(paths, async entryPath => {
      const one = await scanEntry(join(root, entryPath), entryPath);
      found.push(one);
      if (one.entry.kind === 'directory') below.push(entryPath);
    });
    level = below;
  }
  return tree('directory', found, entryPath => join(root, entryPath));
}

/** The path that differs between two looks at one source, with what happened to it; `undefined` if it stayed the same. */
export function sourceChange(before: SourceTree, after: SourceTree): string | undefined {
  for (const [path, snapshot] of before.snapshots) {
    const now = after.snapshots.get(path);
    if (now === undefined) return `${after.locate(path)} is gone`;
    if (now !== snapshot) return `${after.locate(path)} was changed`;
  }
  for (const path of after.snapshots.keys()) if (!before.snapshots.has(path)) return `${after.locate(path)} is new`;
  return undefined;
}

/** Of some of the tree's files, the first that is not any more as it was. */
export async function changedFile(tree: SourceTree, entryPaths: Iterable<string>): Promise<string | undefined> {
  for (const entryPath of entryPaths) {
    const path = tree.locate(entryPath);
    const stats = await ifExists(lstat(path, { bigint: true })).catch(() => undefined); // Unreadable now: changed.
    if (stats === undefined || snapshotOf(stats) !== tree.snapshots.get(entryPath)) return path;
  }
  return undefined;
}

function tree(root: Manifest['root'], found: readonly Found[], locate: (entryPath: string) => string): SourceTree {
  const sorted = found.toSorted((a, b) => (a.entry.path < b.entry.path ? -1 : 1));
  const entries = sorted.map(({ entry }) => entry);
  checkTree(entries);
  const lengthBytes = entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.lengthBytes : 0), 0);
  return { root, entries, lengthBytes, snapshots: new Map(sorted.map(f => [f.entry.path, f.snapshot])), locate };
}

async function listDirectory(root: string, directory: string): Promise<string[]> {
  const path = join(root, directory);
  const names = await reading(path, () => readdir(path, { encoding: 'buffer' }));
  return names.map(name => {
    if (!isUtf8(name)) throw notUtf8(path, name);
    return directory === '' ? name.toString() : `${directory}/${name}`;
  });
}

async function scanEntry(path: string, entryPath: string): Promise<Found> {
  const stats = await reading(path, () => lstat(path, { bigint: true }));
  if (stats.isFile()) return { entry: fileEntry(entryPath, stats), snapshot: snapshotOf(stats) };
  if (stats.isDirectory()) {
    // Not its times: they change when a neighbour of the job is written; what is in it is looked at itself.
    const mode = Number(stats.mode & 0o777n);
    return { entry: { kind: 'directory', path: entryPath, mode }, snapshot: `directory ${mode}` };
  }
  if (!stats.isSymbolicLink()) throw unpublishable(path, stats);
  const target = await reading(path, () => readlink(path, { encoding: 'buffer' }));
  if (!isUtf8(target)) throw notUtf8(dirname(path), target);
  return { entry: { kind: 'symlink', path: entryPath, target: target.toString() }, snapshot: `symlink ${target}` };
}

function fileEntry(path: string, stats: BigIntStats): ScannedEntry {
  return { kind: 'file', path, mode: Number(stats.mode & 0o777n), lengthBytes: Number(stats.size) };
}

/** A write moves mtime and ctime; ctime cannot be set back by the user, inode and device tell a file put in its place. */
function snapshotOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.size, stats.mode, stats.mtimeNs, stats.ctimeNs].join(' ');
}

async function reading<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    throw fileError('source-unreadable', `cannot read ${path}`, cause, {
      next: 'check that it exists, that you may read it, and that nothing changes it meanwhile',
    });
  }
}

function unpublishable(path: string, stats: BigIntStats): StarlingError {
  const kind = stats.isSocket() ? 'a socket' : stats.isFIFO() ? 'a pipe' : 'a device';
  return new StarlingError(
    'source-unreadable',
    `${path} is ${kind}: only files, directories and symlinks can be published`,
    {
      next: 'move it out of the directory and publish again',
    },
  );
}

function notUtf8(directory: string, name: Uint8Array): StarlingError {
  const shown = Buffer.from(name).toString('latin1');
  return new StarlingError('source-unreadable', `a name in ${directory} is not UTF-8: ${JSON.stringify(shown)}`, {
    next: 'rename it and publish again',
  });
}

function tooMany(path: string): StarlingError {
  return new StarlingError('usage', `${path} holds more than ${config.manifest.entriesMax} files and directories`, {
    next: 'publish it as several jobs, or pack it into an archive first',
  });
}
