import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Entry, Manifest } from '../../core/manifest.ts';
import { eachLimited } from './each-limited.ts';
import { diskError, ifExists } from './file-error.ts';
import { locateEntry } from './tree-location.ts';

/** How a placed tree looks from outside, before a byte of it is read. Paths are the manifest's; `.` is the tree itself. */
export type TreeInspection = {
  readonly bad: readonly { readonly path: string; readonly problem: string }[];
  readonly missing: readonly string[];
  /** Not of the job; a directory stands for all in it. */
  readonly extra: readonly string[];
};

/** Compare kinds, lengths, modes and link targets. Throws `disk-failed` if the tree cannot be looked at. */
export async function inspectTree(manifest: Manifest, path: string): Promise<TreeInspection> {
  const bad: { path: string; problem: string }[] = [];
  const missing: string[] = [];
  const stats = await looking(path, () => lstat(path));
  if (stats === undefined) return { bad, missing: ['.', ...manifest.entries.map(entry => entry.path)], extra: [] };
  if (manifest.root === 'directory' && !stats.isDirectory()) {
    return { bad: [{ path: '.', problem: `is ${kindOf(stats)}, not a directory` }], missing, extra: [] };
  }
  await eachLimited(manifest.entries, async entry => {
    const problem = await problemOf(
      entry,
      locateEntry(manifest.root, { kind: 'placed', destination: path }, entry.path),
    );
    if (problem === 'missing') missing.push(entry.path);
    else if (problem !== undefined) bad.push({ path: entry.path, problem });
  });
  const extra = manifest.root === 'directory' ? await extraPaths(manifest, path) : [];
  bad.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { bad, missing: missing.sort(), extra };
}

async function problemOf(entry: Entry, path: string): Promise<string | undefined> {
  const stats = await looking(path, () => lstat(path));
  if (stats === undefined) return 'missing';
  if (kindOf(stats) !== KINDS[entry.kind]) return `is ${kindOf(stats)}, not ${KINDS[entry.kind]}`;
  if (entry.kind === 'symlink') {
    const target = await looking(path, () => readlink(path));
    return target === entry.target ? undefined : `points to ${target} instead of ${entry.target}`;
  }
  if (entry.kind === 'file' && stats.size !== entry.lengthBytes) {
    return `has ${stats.size} bytes instead of ${entry.lengthBytes}`;
  }
  const mode = stats.mode & 0o777;
  return mode === entry.mode ? undefined : `has mode ${mode.toString(8)} instead of ${entry.mode.toString(8)}`;
}

async function extraPaths(manifest: Manifest, root: string): Promise<string[]> {
  const kinds = new Map<string, Entry['kind']>(manifest.entries.map(entry => [entry.path, entry.kind]));
  const extra: string[] = [];
  for (let level = ['']; level.length > 0; ) {
    const below: string[] = [];
    await eachLimited(level, async directory => {
      for (const path of await listNames(root, directory)) {
        if (!kinds.has(path)) extra.push(path);
        else if (kinds.get(path) === 'directory') below.push(path);
      }
    });
    level = below;
  }
  return extra.sort();
}

/** Nothing for what is missing or no directory: that was told already. */
async function listNames(root: string, directory: string): Promise<string[]> {
  const path = join(root, directory);
  const names = await looking(path, () => readdir(path));
  return (names ?? []).map(name => (directory === '' ? name : `${directory}/${name}`));
}

async function looking<T>(path: string, operation: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ifExists(operation());
  } catch (cause) {
    throw diskError('look at', path, cause);
  }
}

const KINDS = { file: 'a file', directory: 'a directory', symlink: 'a symlink' } as const;

function kindOf(stats: Stats): string {
  if (stats.isFile()) return KINDS.file;
  if (stats.isDirectory()) return KINDS.directory;
  return stats.isSymbolicLink() ? KINDS.symlink : 'a special file';
}
