import { createHash } from 'node:crypto';
import { manifestBytes } from '../../../agent/manifest-digest.ts';
import { ChunkSpans } from '../../../core/chunk-spans.ts';
import { parseJobId } from '../../../core/ids.ts';
import { MANIFEST_FORMAT, type Manifest } from '../../../core/manifest.ts';
import { seededRng } from '../../../core/rng.ts';
import { layOutTree, type ScannedEntry } from '../../../core/tree-layout.ts';

/** Content of a job by path: the bytes of a file, or what else stands there. */
export type TreeContent = Record<
  string,
  | Uint8Array
  | { readonly bytes: Uint8Array; readonly mode: number }
  | { readonly target: string }
  | { readonly directoryMode: number }
  | 'directory'
>;

export type Job = {
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  /** The right bytes of every chunk. */
  readonly chunks: readonly Uint8Array[];
};

/** The same bytes for the same seed. */
export function someBytes(lengthBytes: number, seed: number): Uint8Array {
  const rng = seededRng(seed);
  const words = Uint32Array.from({ length: Math.ceil(lengthBytes / 4) }, () => rng.below(0x1_0000_0000));
  return new Uint8Array(words.buffer, 0, lengthBytes);
}

/** As `toEqual`, which takes seconds for a megabyte. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export function jobOf(content: TreeContent, chunkLengthBytes: number, root: Manifest['root'] = 'directory'): Job {
  const paths = Object.keys(content).sort();
  const bytesAt = new Map<string, Uint8Array>();
  const scanned = paths.map((path): ScannedEntry => {
    const what = content[path] ?? 'directory';
    if (what === 'directory') return { kind: 'directory', path, mode: 0o755 };
    if ('target' in what) return { kind: 'symlink', path, target: what.target };
    if ('directoryMode' in what) return { kind: 'directory', path, mode: what.directoryMode };
    const { bytes, mode } = 'mode' in what ? what : { bytes: what, mode: 0o644 };
    bytesAt.set(path, bytes);
    return { kind: 'file', path, mode, lengthBytes: bytes.length };
  });
  const layout = layOutTree(scanned, chunkLengthBytes);
  const spans = new ChunkSpans({ ...layout, chunks: layout.chunkLengths.map(lengthBytes => ({ lengthBytes })) });
  const chunks = layout.chunkLengths.map((_, chunk) =>
    Buffer.concat(
      spans.ofChunk(chunk).map(({ file, fileOffsetBytes, lengthBytes }) => {
        const bytes = bytesAt.get(file.path) ?? new Uint8Array();
        return bytes.subarray(fileOffsetBytes, fileOffsetBytes + lengthBytes);
      }),
    ),
  );
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    job: parseJobId('job-1'),
    root,
    chunkLengthBytes,
    lengthBytes: layout.lengthBytes,
    chunks: chunks.map(bytes => ({
      sha256: createHash('sha256').update(bytes).digest('hex'),
      lengthBytes: bytes.length,
    })),
    entries: layout.entries,
    source: { key: 'jobs/job-1/data-0123456789abcdef' },
  };
  // As `Uint8Array`, so that tests compare bytes and not classes.
  return { manifest, manifestBytes: manifestBytes(manifest), chunks: chunks.map(bytes => new Uint8Array(bytes)) };
}

const KiB = 1024;

/** Of everything a little: large, small and empty files, an executable, a read-only file, odd names, links, empty directories. */
export const MIXED: TreeContent = {
  'a large one.bin': someBytes(300 * KiB, 1),
  bin: 'directory',
  'bin/run.sh': { bytes: someBytes(100, 2), mode: 0o755 },
  'bin/link': { target: '../a large one.bin' },
  'bin/dangling': { target: 'not-there' },
  empty: 'directory',
  'empty/nested': 'directory',
  'empty.txt': new Uint8Array(),
  'exactly one chunk': someBytes(128 * KiB, 3),
  'read-only': { bytes: someBytes(5 * KiB, 4), mode: 0o444 },
  'снег-雪-🐦': 'directory',
  'снег-雪-🐦/naïve file': someBytes(90 * KiB, 5),
  'снег-雪-🐦/small': someBytes(70 * KiB, 6),
};

export const MIXED_CHUNK_BYTES = 128 * KiB;
