import type { ChunkSpans } from '../../core/chunk-spans.ts';
import type { Bytes, ChunkIndex } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import { hashSpans } from './hash-pool.ts';
import type { FileSpan, HashOutcome } from './span-hasher.ts';
import { locateEntry, type TreeLocation } from './tree-location.ts';

/** How far a check of bytes on disk has come. */
export type CheckProgress = { readonly checkedBytes: Bytes; readonly totalBytes: Bytes };

/** What is wrong with a chunk on disk; `undefined` if its hash is the manifest's. */
export type ChunkProblem = Exclude<HashOutcome, { kind: 'hashed' }> | { readonly kind: 'mismatch' };

/**
 * Hash chunks where they lie, in parallel, and compare them with the manifest. `onChecked` is called once for each, in any
 * order. Throws the signal's reason.
 */
export async function checkChunks(check: {
  readonly manifest: Manifest;
  readonly spans: ChunkSpans;
  readonly location: TreeLocation;
  readonly chunks: readonly ChunkIndex[];
  readonly onChecked: (chunk: ChunkIndex, problem: ChunkProblem | undefined) => void;
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<void> {
  const { manifest, chunks } = check;
  const totalBytes = chunks.reduce((sum, chunk) => sum + (manifest.chunks[chunk]?.lengthBytes ?? 0), 0);
  let checkedBytes = 0;
  await hashSpans({
    tasks: spansOnDisk(check),
    lengthBytes: totalBytes,
    fileCount: check.spans.files.length,
    signal: check.signal,
    onHashed: (index, outcome) => {
      const chunk = chunks[index] ?? 0;
      check.onChecked(chunk, problemOf(outcome, manifest.chunks[chunk]?.sha256));
      checkedBytes += manifest.chunks[chunk]?.lengthBytes ?? 0;
      check.onProgress?.({ checkedBytes, totalBytes });
    },
  });
}

function* spansOnDisk(check: {
  readonly manifest: Manifest;
  readonly spans: ChunkSpans;
  readonly location: TreeLocation;
  readonly chunks: readonly ChunkIndex[];
}): Generator<readonly FileSpan[]> {
  for (const chunk of check.chunks) {
    yield check.spans.ofChunk(chunk).map(span => ({
      path: locateEntry(check.manifest.root, check.location, span.file.path),
      offsetBytes: span.fileOffsetBytes,
      lengthBytes: span.lengthBytes,
    }));
  }
}

function problemOf(outcome: HashOutcome, sha256: string | undefined): ChunkProblem | undefined {
  if (outcome.kind !== 'hashed') return outcome;
  return outcome.sha256 === sha256 ? undefined : { kind: 'mismatch' };
}
