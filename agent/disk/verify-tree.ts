import { type ChunkSpan, ChunkSpans } from '../../core/chunk-spans.ts';
import type { ChunkIndex } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import { type CheckProgress, type ChunkProblem, checkChunks } from './chunk-check.ts';
import { inspectTree, type TreeInspection } from './tree-inspection.ts';

/** What differs between a placed tree and its manifest. All lists are sorted. */
export type TreeReport = {
  /** A chunk that reaches into a missing or short file is bad too. */
  readonly badChunks: readonly ChunkIndex[];
  /** Present, and not as the manifest says; each path once. A chunk that several small files share accuses them all. */
  readonly badFiles: readonly { readonly path: string; readonly problem: string }[];
  readonly missing: readonly string[];
  /** Not of the job: no fault of the tree. */
  readonly extra: readonly string[];
};

/**
 * Compare a tree with its manifest: kinds, lengths, modes, link targets, and the hash of every chunk. For a single file's
 * job `path` is the file. Throws `disk-failed` if the tree cannot be looked at, or the signal's reason.
 */
export async function verifyTree(request: {
  readonly manifest: Manifest;
  readonly path: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
}): Promise<TreeReport> {
  const inspection = await inspectTree(request.manifest, request.path);
  return verifyBytes(request, inspection);
}

/** Nothing is missing or bad; there may be more than the job. */
export function isWhole(report: TreeReport | TreeInspection): boolean {
  if (report.missing.length > 0) return false;
  return 'bad' in report ? report.bad.length === 0 : report.badFiles.length + report.badChunks.length === 0;
}

/** The second half of `verifyTree`, for who has looked at the tree already. */
export async function verifyBytes(
  request: Parameters<typeof verifyTree>[0],
  inspection: TreeInspection,
): Promise<TreeReport> {
  const spans = new ChunkSpans(request.manifest);
  const badChunks: ChunkIndex[] = [];
  const mismatches = new Map<string, ChunkIndex[]>();
  const problems = new Map<string, string>();
  await checkChunks({
    manifest: request.manifest,
    spans,
    location: { kind: 'placed', destination: request.path },
    chunks: [...request.manifest.chunks.keys()],
    signal: request.signal,
    onProgress: request.onProgress,
    onChecked: (chunk, problem) => {
      if (problem === undefined) return;
      badChunks.push(chunk);
      for (const path of accusedBy(problem, spans.ofChunk(chunk))) {
        if (problem.kind === 'unreadable') problems.set(path, `cannot be read: ${problem.errno}`);
        else if (problem.kind === 'short') problems.set(path, 'ended while it was read');
        else
          mismatches
            .set(path, mismatches.get(path) ?? [])
            .get(path)
            ?.push(chunk);
      }
    },
  });
  for (const [path, chunks] of mismatches) problems.set(path, wrongHash(chunks));
  // What is seen from outside says more than that the bytes are wrong too.
  for (const path of inspection.missing) problems.delete(path);
  for (const { path, problem } of inspection.bad) problems.set(path, problem);
  const badFiles = [...problems].map(([path, problem]) => ({ path, problem }));
  badFiles.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { badChunks: badChunks.sort((a, b) => a - b), badFiles, missing: inspection.missing, extra: inspection.extra };
}

/** A hash does not say which of the files in a chunk is wrong. A file that cannot be read says it itself. */
function accusedBy(problem: ChunkProblem, spans: readonly ChunkSpan[]): readonly string[] {
  if (problem.kind === 'mismatch') return spans.map(span => span.file.path);
  const span = spans[problem.span];
  return span ? [span.file.path] : [];
}

function wrongHash(chunks: ChunkIndex[]): string {
  const sorted = chunks.sort((a, b) => a - b);
  const named = sorted.slice(0, 5).join(', ');
  const more = sorted.length > 5 ? ` and ${sorted.length - 5} more` : '';
  return sorted.length === 1 ? `chunk ${named} has the wrong hash` : `chunks ${named}${more} have the wrong hash`;
}
