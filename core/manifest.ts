import type { Bytes, ChunkIndex, JobId } from './ids.ts';

export const MANIFEST_FORMAT = 'starling-manifest/1';

/**
 * What a job is. Written once under the job's id and never changed; its canonical JSON (core/manifest-json.ts) hashed
 * by SHA-256 is the job's digest.
 *
 * The bytes of the job are its chunks, back to back, in one object of the origin: chunk `i` starts there at the sum of
 * the lengths before it (`chunkOffsets`). All chunks are `chunkLengthBytes` long, but the last one of each large file
 * and of the packed small files, which may be shorter. No chunk is empty: a job without bytes has no chunks.
 */
export type Manifest = {
  readonly format: typeof MANIFEST_FORMAT;
  readonly job: JobId;
  /** `file`: one entry, placed AS the destination. `directory`: entries are placed inside it. */
  readonly root: 'file' | 'directory';
  /** Nominal; a multiple of 1 MiB unless the publisher chose another. */
  readonly chunkLengthBytes: Bytes;
  /** Sum over chunks, and over files. */
  readonly lengthBytes: Bytes;
  readonly chunks: readonly Chunk[];
  /** Sorted by path (UTF-16 code units), so that a directory stands before what is in it. */
  readonly entries: readonly Entry[];
  readonly source: {
    /** Key of the object with the bytes, relative to the origin's URL. */
    readonly key: string;
  };
};

export type Chunk = {
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  readonly lengthBytes: Bytes;
};

export type Entry = FileEntry | DirectoryEntry | SymlinkEntry;

/** The file's bytes start `offsetBytes` into chunk `firstChunk` and run on over as many chunks as they need. */
export type FileEntry = {
  readonly kind: 'file';
  /** Relative, `/` between names, never absolute, no `.` or `..`, no NUL. Unique in the manifest. */
  readonly path: string;
  /** Permission bits, 0..0o777. */
  readonly mode: number;
  readonly lengthBytes: Bytes;
  /** 0 for an empty file. */
  readonly firstChunk: ChunkIndex;
  /** 0 for a file as long as a chunk or longer: large files start on a chunk boundary. */
  readonly offsetBytes: Bytes;
};

export type DirectoryEntry = { readonly kind: 'directory'; readonly path: string; readonly mode: number };

/** `target` is kept as it is; it is never followed, and must not lead out of the job's tree. */
export type SymlinkEntry = { readonly kind: 'symlink'; readonly path: string; readonly target: string };
