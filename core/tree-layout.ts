import { assert } from './assert.ts';
import { config } from './config.ts';
import { StarlingError } from './errors.ts';
import type { Bytes } from './ids.ts';
import type { DirectoryEntry, Entry, FileEntry, SymlinkEntry } from './manifest.ts';

/** What a publisher found on its disk, before it is known which chunk holds what. */
export type ScannedEntry = ScannedFile | DirectoryEntry | SymlinkEntry;
export type ScannedFile = Omit<FileEntry, 'firstChunk' | 'offsetBytes'>;

export type TreeLayout = {
  /** In the order given. */
  readonly entries: readonly Entry[];
  readonly chunkLengths: readonly Bytes[];
  readonly lengthBytes: Bytes;
};

/**
 * Lay files out over chunks. Files of a chunk's length and longer come first, each from a chunk boundary on, its last
 * chunk shorter; all smaller ones follow back to back in full chunks (so one may span two of them), the last shorter.
 * Within both groups the order is that of `scanned`, which is sorted by path. Throws `usage` if the chunks become too many.
 */
export function layOutTree(scanned: readonly ScannedEntry[], chunkLengthBytes: Bytes): TreeLayout {
  assert(Number.isSafeInteger(chunkLengthBytes) && chunkLengthBytes > 0, `chunk length ${chunkLengthBytes}`);
  const places = new Map<ScannedFile, { firstChunk: number; offsetBytes: Bytes }>();
  const chunkLengths: Bytes[] = [];
  for (const file of scanned) {
    if (file.kind !== 'file' || file.lengthBytes < chunkLengthBytes) continue;
    places.set(file, { firstChunk: chunkLengths.length, offsetBytes: 0 });
    appendRun(chunkLengths, file.lengthBytes, chunkLengthBytes);
  }

  const packStart = chunkLengths.length;
  let packedBytes = 0;
  for (const file of scanned) {
    if (file.kind !== 'file' || file.lengthBytes >= chunkLengthBytes || file.lengthBytes === 0) continue;
    places.set(file, {
      firstChunk: packStart + Math.floor(packedBytes / chunkLengthBytes),
      offsetBytes: packedBytes % chunkLengthBytes,
    });
    packedBytes += file.lengthBytes;
  }
  appendRun(chunkLengths, packedBytes, chunkLengthBytes);

  return {
    entries: scanned.map(entry => placed(entry, places)),
    chunkLengths,
    lengthBytes: chunkLengths.reduce((sum, length) => sum + length, 0),
  };
}

function appendRun(chunkLengths: Bytes[], lengthBytes: Bytes, chunkLengthBytes: Bytes): void {
  if (chunkLengths.length + lengthBytes / chunkLengthBytes > config.manifest.chunksMax) {
    throw new StarlingError('usage', `the job has more than ${config.manifest.chunksMax} chunks`, {
      next: 'choose larger chunks with --chunk-size, or publish it as several jobs',
    });
  }
  for (let left = lengthBytes; left > 0; left -= chunkLengthBytes) chunkLengths.push(Math.min(left, chunkLengthBytes));
}

function placed(
  entry: ScannedEntry,
  places: ReadonlyMap<ScannedFile, { readonly firstChunk: number; readonly offsetBytes: Bytes }>,
): Entry {
  const { path } = entry;
  if (entry.kind === 'directory') return { kind: 'directory', path, mode: entry.mode };
  if (entry.kind === 'symlink') return { kind: 'symlink', path, target: entry.target };
  const { firstChunk, offsetBytes } = places.get(entry) ?? { firstChunk: 0, offsetBytes: 0 };
  return { kind: 'file', path, mode: entry.mode, lengthBytes: entry.lengthBytes, firstChunk, offsetBytes };
}
