import { createHash } from 'node:crypto';
import { chunkLengthFor } from '../core/chunk-length.ts';
import { ChunkSpans } from '../core/chunk-spans.ts';
import { config } from '../core/config.ts';
import { StarlingError } from '../core/errors.ts';
import type { Bytes, JobId } from '../core/ids.ts';
import { bytesKey, manifestKey } from '../core/job-key.ts';
import { type Chunk, type Entry, MANIFEST_FORMAT, type Manifest } from '../core/manifest.ts';
import { manifestDifference } from '../core/manifest-difference.ts';
import { parseManifest } from '../core/manifest-json.ts';
import { layOutTree } from '../core/tree-layout.ts';
import { SourceChunks } from './disk/source-chunks.ts';
import { type SourceTree, scanSource, sourceChange } from './disk/source-tree.ts';
import { manifestBytes, manifestDigest } from './manifest-digest.ts';
import type { Origin } from './origins/origin.ts';

export type PublishRequest = {
  /** A file or a directory. */
  readonly path: string;
  readonly job: JobId;
  readonly origin: Origin;
  /** `undefined`: by the length of the job. */
  readonly chunkLengthBytes?: Bytes | undefined;
  readonly onProgress?: ((progress: PublishProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** Phases follow each other in this order; `doneBytes` grows within each. */
export type PublishProgress = {
  readonly phase: 'scanning' | 'hashing' | 'uploading';
  readonly doneBytes: Bytes;
  readonly totalBytes: Bytes;
};

export type PublishOutcome = {
  /** `unchanged`: the job was there already, with the same bytes, names and modes. */
  readonly kind: 'published' | 'unchanged';
  readonly manifest: Manifest;
  readonly digest: string;
};

/**
 * Put a job into an origin: its bytes in one object, then its manifest, which makes it visible. Every chunk is hashed when
 * the manifest is made and again when it is sent, and the whole source is looked at again before the manifest is written:
 * what is published is one moment's content. Broken off anywhere, nothing is visible, and it can be run again.
 *
 * Throws `job-exists` if the id is taken by other content, `source-changed`, `source-unreadable`, `unsafe-path`, `usage`
 * (too large for the chunk length), what the origin throws, or the signal's reason.
 */
export async function publish(request: PublishRequest): Promise<PublishOutcome> {
  const { path, job, origin, signal } = request;
  request.onProgress?.({ phase: 'scanning', doneBytes: 0, totalBytes: 0 });
  const tree = await scanSource(path, signal);
  const chunkLengthBytes = request.chunkLengthBytes ?? chunkLengthFor(tree.lengthBytes);
  checkChunkLength(chunkLengthBytes);
  const { entries, chunkLengths, lengthBytes } = layOutTree(tree.entries, chunkLengthBytes);
  const spans = new ChunkSpans({ entries, chunks: chunkLengths.map(length => ({ lengthBytes: length })) });
  const source = new SourceChunks(tree, spans);
  try {
    const digests = await source.digests({ onProgress: reporter(request, 'hashing', lengthBytes), signal });
    const chunks = chunkLengths.map((length, index) => ({ sha256: digests[index] ?? '', lengthBytes: length }));
    const manifest = manifestOf(job, tree, { chunkLengthBytes, entries, chunks, lengthBytes });
    const bytes = readableBytes(manifest);
    const digest = manifestDigest(bytes);
    if (await isPublished(request, manifest)) return { kind: 'unchanged', manifest, digest };
    await upload(request, manifest, { source, digests, cutsAt: [...spans.offsets] });
    await checkUnchanged(request, tree);
    const written = await origin.writeObjectIfAbsent(manifestKey(job), bytes, signal);
    // Another publisher was faster: the same content is as good as ours, other content is refused here.
    if (written === 'exists' && (await isPublished(request, manifest))) return { kind: 'unchanged', manifest, digest };
    return { kind: 'published', manifest, digest };
  } finally {
    await source.close();
  }
}

function manifestOf(
  job: JobId,
  tree: SourceTree,
  parts: {
    readonly chunkLengthBytes: Bytes;
    readonly entries: readonly Entry[];
    readonly chunks: readonly Chunk[];
    readonly lengthBytes: Bytes;
  },
): Manifest {
  const content = createHash('sha256');
  for (const chunk of parts.chunks) content.update(chunk.sha256, 'hex');
  return {
    format: MANIFEST_FORMAT,
    job,
    root: tree.root,
    chunkLengthBytes: parts.chunkLengthBytes,
    lengthBytes: parts.lengthBytes,
    chunks: parts.chunks,
    entries: parts.entries,
    source: { key: bytesKey(job, content.digest('hex').slice(0, 16)) },
  };
}

/** Refuses here what every receiver would refuse. */
function readableBytes(manifest: Manifest): Uint8Array {
  const bytes = manifestBytes(manifest);
  if (bytes.length > config.manifest.jsonBytesMax) {
    throw new StarlingError('usage', `the manifest has ${bytes.length} bytes, too many for receivers to read`, {
      next: 'publish it as several jobs, pack it into an archive, or choose larger chunks with --chunk-size',
    });
  }
  parseManifest(Buffer.from(bytes).toString('utf8'));
  return bytes;
}

/** True if just this is under the job's id already; throws `job-exists` if anything else is. */
async function isPublished(request: PublishRequest, manifest: Manifest): Promise<boolean> {
  const { origin, job, signal } = request;
  const bytesMax = config.manifest.jsonBytesMax;
  const bytes = await origin.readObject(manifestKey(job), signal ? { bytesMax, signal } : { bytesMax });
  if (bytes === undefined) return false;
  const there = parseManifest(Buffer.from(bytes).toString('utf8'));
  if (manifestDigest(manifestBytes(there)) === manifestDigest(manifestBytes(manifest))) return true;
  const difference = manifestDifference(there, manifest) ?? 'its manifest differs';
  throw new StarlingError('job-exists', `job ${job} is already published with other content: ${difference}`, {
    next: 'publish this content under a new job id: a job never changes',
  });
}

async function upload(
  request: PublishRequest,
  manifest: Manifest,
  bytes: {
    readonly source: SourceChunks;
    readonly digests: readonly string[];
    readonly cutsAt: readonly Bytes[];
  },
): Promise<void> {
  const { origin, signal } = request;
  const { lengthBytes, source } = manifest;
  if (lengthBytes === 0 || (await origin.hasObject(source.key, lengthBytes))) return;
  await origin.writeLargeObject(source.key, {
    lengthBytes,
    cutsAt: bytes.cutsAt,
    read: range => bytes.source.read(range, bytes.digests),
    onProgress: reporter(request, 'uploading', lengthBytes),
    ...(signal ? { signal } : {}),
  });
}

/** Also what hashing cannot see: files that came or went, modes, and a change that was undone in the bytes already sent. */
async function checkUnchanged(request: PublishRequest, before: SourceTree): Promise<void> {
  const change = sourceChange(before, await scanSource(request.path, request.signal));
  if (change === undefined) return;
  throw new StarlingError('source-changed', `${change} while it was published`, {
    next: 'see to it that nothing writes there, then publish again',
  });
}

function checkChunkLength(chunkLengthBytes: Bytes): void {
  const most = config.manifest.chosenChunkLengthBytesMax;
  if (Number.isSafeInteger(chunkLengthBytes) && chunkLengthBytes >= 1 && chunkLengthBytes <= most) return;
  throw new StarlingError('usage', `a chunk length of ${chunkLengthBytes} bytes is not usable`, {
    next: `choose one of 1 to ${most} bytes with --chunk-size, or leave it out`,
  });
}

function reporter(request: PublishRequest, phase: PublishProgress['phase'], totalBytes: Bytes): (done: Bytes) => void {
  return doneBytes => request.onProgress?.({ phase, doneBytes, totalBytes });
}
