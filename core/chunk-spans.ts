import { assert } from './assert.ts';
import type { Bytes, ChunkIndex } from './ids.ts';
import type { Entry, FileEntry, Manifest } from './manifest.ts';

/** A piece of a file that is a piece of a chunk. */
export type ChunkSpan = {
  readonly file: FileEntry;
  readonly fileOffsetBytes: Bytes;
  readonly chunkOffsetBytes: Bytes;
  readonly lengthBytes: Bytes;
};

type ChunkLength = { readonly lengthBytes: Bytes };

/** Where each chunk starts in the origin's object: sums of the lengths before it; one more at the end, the length of all. */
export function chunkOffsets(manifest: { readonly chunks: readonly ChunkLength[] }): Float64Array {
  const offsets = new Float64Array(manifest.chunks.length + 1);
  let offset = 0;
  for (const [index, chunk] of manifest.chunks.entries()) {
    offset += chunk.lengthBytes;
    offsets[index + 1] = offset;
  }
  return offsets;
}

/**
 * Which bytes of which files a chunk is made of. The spans of a range tile it, in order; those of all chunks tile all
 * files. Built in O(files log files + chunks); a query costs O(log files + spans). The manifest is one that
 * `parseManifest` let pass.
 */
export class ChunkSpans {
  /** `chunkOffsets` of the manifest. */
  readonly offsets: Float64Array;
  /** Files that have bytes, in the order of their bytes. */
  readonly files: readonly FileEntry[];
  /** Where in the bytes of the job each of `files` starts; ascending. */
  readonly #starts: Float64Array;

  /** The digests of the chunks may still be unknown. */
  constructor(manifest: { readonly chunks: readonly ChunkLength[]; readonly entries: readonly Entry[] }) {
    this.offsets = chunkOffsets(manifest);
    this.files = filesInByteOrder(manifest);
    this.#starts = Float64Array.from(this.files, file => this.startOf(file));
  }

  /** Where the file's bytes start in the origin's object. */
  startOf(file: FileEntry): Bytes {
    return (this.offsets[file.firstChunk] ?? 0) + file.offsetBytes;
  }

  lengthOf(chunk: ChunkIndex): Bytes {
    return this.#offsetOf(chunk + 1) - this.#offsetOf(chunk);
  }

  ofChunk(chunk: ChunkIndex): ChunkSpan[] {
    return this.within(chunk, { offsetBytes: 0, lengthBytes: this.lengthOf(chunk) });
  }

  /** The spans of a range of a chunk; `chunkOffsetBytes` still counts from the start of the chunk. */
  within(chunk: ChunkIndex, range: { readonly offsetBytes: Bytes; readonly lengthBytes: Bytes }): ChunkSpan[] {
    const chunkStart = this.#offsetOf(chunk);
    const end = chunkStart + range.offsetBytes + range.lengthBytes;
    assert(range.offsetBytes >= 0 && end <= this.#offsetOf(chunk + 1), `range beyond chunk ${chunk}`);
    const spans: ChunkSpan[] = [];
    let at = chunkStart + range.offsetBytes;
    for (let index = this.#fileAt(at); at < end; index += 1) {
      const file = this.files[index];
      assert(file !== undefined, `no file holds byte ${at} of the job`);
      const fileStart = this.#starts[index] ?? 0;
      const lengthBytes = Math.min(fileStart + file.lengthBytes, end) - at;
      spans.push({ file, fileOffsetBytes: at - fileStart, chunkOffsetBytes: at - chunkStart, lengthBytes });
      at += lengthBytes;
    }
    return spans;
  }

  /** The chunks that hold bytes of the file: `first` to `last`, both included; `undefined` for an empty file. */
  chunksOf(file: FileEntry): { readonly first: ChunkIndex; readonly last: ChunkIndex } | undefined {
    if (file.lengthBytes === 0) return undefined;
    const end = this.startOf(file) + file.lengthBytes;
    let last = file.firstChunk;
    while (this.#offsetOf(last + 1) < end) last += 1;
    return { first: file.firstChunk, last };
  }

  #offsetOf(chunk: ChunkIndex): Bytes {
    const offset = this.offsets[chunk];
    assert(offset !== undefined, `chunk ${chunk} of ${this.offsets.length - 1}`);
    return offset;
  }

  /** The last file that starts at or before `offset`. */
  #fileAt(offset: Bytes): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Files that have bytes, by the place of their first byte. */
export function filesInByteOrder(manifest: Pick<Manifest, 'entries'>): FileEntry[] {
  return manifest.entries
    .filter(entry => entry.kind === 'file')
    .filter(file => file.lengthBytes > 0)
    .sort((a, b) => a.firstChunk - b.firstChunk || a.offsetBytes - b.offsetBytes);
}
