import * as z from 'zod/mini';
import { chunkOffsets, filesInByteOrder } from './chunk-spans.ts';
import { config } from './config.ts';
import { StarlingError } from './errors.ts';
import { type Bytes, type ChunkIndex, type JobId, parseJobId } from './ids.ts';
import { type Entry, MANIFEST_FORMAT, type Manifest } from './manifest.ts';
import { checkPath, checkTree, utf8Length } from './tree-path.ts';

const limits = config.manifest;
const length = z.int().check(z.gte(0));
const mode = z.int().check(z.gte(0), z.lte(0o777));
const path = z.string().check(z.maxLength(limits.pathBytesMax));

const chunkSchema = z.strictObject({
  sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  lengthBytes: z.int().check(z.gte(1), z.lte(limits.chosenChunkLengthBytesMax)),
});
const entrySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('file'),
    path,
    mode,
    lengthBytes: length,
    firstChunk: z.int().check(z.gte(0), z.lt(limits.chunksMax)),
    offsetBytes: length,
  }),
  z.strictObject({ kind: z.literal('directory'), path, mode }),
  z.strictObject({ kind: z.literal('symlink'), path, target: z.string().check(z.maxLength(limits.pathBytesMax)) }),
]);
const manifestSchema = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  job: z.string().check(z.maxLength(256)),
  root: z.enum(['file', 'directory']),
  chunkLengthBytes: z.int().check(z.gte(1), z.lte(limits.chosenChunkLengthBytesMax)),
  lengthBytes: length,
  chunks: z.array(chunkSchema).check(z.maxLength(limits.chunksMax)),
  entries: z.array(entrySchema).check(z.maxLength(limits.entriesMax)),
  source: z.strictObject({ key: z.string().check(z.minLength(1), z.maxLength(limits.keyBytesMax)) }),
});

/**
 * The one text of a manifest: fields in the order of the type, no white space. Its UTF-8 bytes are what the digest is
 * of, and `parseManifest` reads it back.
 */
export function canonicalManifestJson(manifest: Manifest): string {
  const { format, job, root, chunkLengthBytes, lengthBytes } = manifest;
  const chunks = manifest.chunks.map(({ sha256, lengthBytes }) => ({ sha256, lengthBytes }));
  const entries = manifest.entries.map(canonicalEntry);
  const source = { key: manifest.source.key };
  return JSON.stringify({ format, job, root, chunkLengthBytes, lengthBytes, chunks, entries, source });
}

/**
 * Read a manifest, from its text or from what JSON.parse made of it. It comes from the network: every promise of the
 * types in core/manifest.ts is checked, so that nothing behind this line can be led out of the destination, made to
 * allocate without bound, or find a byte that belongs to no file. Throws `invalid-manifest`, or `unsafe-path`.
 */
export function parseManifest(json: unknown): Manifest {
  const raw = typeof json === 'string' ? parseText(json) : json;
  const parsed = manifestSchema.safeParse(raw);
  if (!parsed.success) throw invalid(describeIssue(parsed.error.issues[0], raw));
  const manifest: Manifest = { ...parsed.data, job: checkedJob(parsed.data.job) };
  checkKey(manifest.source.key);
  checkTree(manifest.entries);
  checkRoot(manifest);
  checkChunkLengths(manifest);
  checkTiling(manifest);
  return manifest;
}

function canonicalEntry(entry: Entry): Entry {
  const { path } = entry;
  if (entry.kind === 'directory') return { kind: 'directory', path, mode: entry.mode };
  if (entry.kind === 'symlink') return { kind: 'symlink', path, target: entry.target };
  const { mode, lengthBytes, firstChunk, offsetBytes } = entry;
  return { kind: 'file', path, mode, lengthBytes, firstChunk, offsetBytes };
}

function parseText(text: string): unknown {
  if (text.length > limits.jsonBytesMax) throw invalid(`longer than ${limits.jsonBytesMax} bytes`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid('not JSON', cause);
  }
}

function checkedJob(text: string): JobId {
  try {
    return parseJobId(text);
  } catch (cause) {
    throw invalid(`job: ${JSON.stringify(text)} is no job id`, cause);
  }
}

/** The place in the JSON, and the path of the entry that stands there: an index alone helps nobody. */
function describeIssue(issue: z.core.$ZodIssue | undefined, raw: unknown): string {
  if (issue === undefined) return 'not understood';
  const [list, index] = issue.path;
  const named = list === 'entries' ? z.object({ entries: z.array(z.unknown()) }).safeParse(raw) : undefined;
  const entry = z.object({ path: z.string() }).safeParse(named?.data?.entries[Number(index)]);
  const name = entry.success ? ` (path ${JSON.stringify(entry.data.path.slice(0, 200))})` : '';
  const keys = issue.code === 'unrecognized_keys' ? ` ${issue.keys.join(', ').slice(0, 200)}` : '';
  return `${issue.path.join('.') || 'the whole'}${name}: ${issue.code}${keys}`;
}

/** It becomes a path of a URL and, below a `file://` origin, of a file. */
function checkKey(key: string): void {
  if (!/^[\x21-\x7e]+$/.test(key) || utf8Length(key) > limits.keyBytesMax) {
    throw invalid(`source.key: ${JSON.stringify(key)} is not printable ASCII without spaces`);
  }
  checkPath(key);
}

function checkRoot(manifest: Manifest): void {
  if (manifest.root === 'directory') return;
  const [only, ...others] = manifest.entries;
  if (only?.kind !== 'file' || others.length > 0 || only.path.includes('/')) {
    throw invalid('root is "file", but the entries are not one file without a directory');
  }
}

/** All sums are exact: 10^6 chunks of 1 GiB are below 2^53. */
function checkChunkLengths(manifest: Manifest): void {
  let sum = 0;
  for (const [index, chunk] of manifest.chunks.entries()) {
    if (chunk.lengthBytes > manifest.chunkLengthBytes) {
      throw invalid(`chunk ${index} has ${chunk.lengthBytes} bytes, more than chunkLengthBytes`);
    }
    sum += chunk.lengthBytes;
  }
  if (sum !== manifest.lengthBytes) throw invalid(`lengthBytes is ${manifest.lengthBytes}, the chunks have ${sum}`);
}

/** The files, one after the other, are exactly the chunks, one after the other; large files have theirs alone. */
function checkTiling(manifest: Manifest): void {
  for (const entry of manifest.entries) {
    if (entry.kind === 'file' && entry.lengthBytes === 0 && entry.firstChunk + entry.offsetBytes > 0) {
      throw invalid(`file ${JSON.stringify(entry.path)} is empty, and has a place in a chunk`);
    }
  }
  const starts = chunkOffsets(manifest);
  let at = 0;
  /** The one that holds byte `at`. */
  let chunk = 0;
  for (const file of filesInByteOrder(manifest)) {
    const name = `file ${JSON.stringify(file.path)}`;
    if (file.firstChunk !== chunk || (starts[chunk] ?? -1) + file.offsetBytes !== at) {
      throw invalid(`${name} does not start at byte ${at}, where the one before it ends`);
    }
    at += file.lengthBytes;
    if (at > manifest.lengthBytes) throw invalid(`${name} ends beyond the last chunk`);
    chunk = chunkAfter(manifest, starts, { chunk, at, name });
    const isLarge = file.lengthBytes >= manifest.chunkLengthBytes;
    if (isLarge && (file.offsetBytes !== 0 || starts[chunk] !== at)) {
      throw invalid(`${name} is as long as a chunk, and shares one`);
    }
  }
  if (at !== manifest.lengthBytes) throw invalid(`the files have ${at} bytes, the chunks ${manifest.lengthBytes}`);
}

/** The chunk in which byte `at` lies, behind the end of the file `name`. On the way no chunk may be short. */
function chunkAfter(
  manifest: Manifest,
  starts: Float64Array,
  from: { readonly chunk: ChunkIndex; readonly at: Bytes; readonly name: string },
): ChunkIndex {
  let chunk = from.chunk;
  for (let end = starts[chunk + 1]; end !== undefined && end <= from.at; end = starts[chunk + 1]) {
    if (end < from.at && manifest.chunks[chunk]?.lengthBytes !== manifest.chunkLengthBytes) {
      throw invalid(`chunk ${chunk} is shorter than chunkLengthBytes, inside ${from.name}`);
    }
    chunk += 1;
  }
  return chunk;
}

function invalid(problem: string, cause?: unknown): StarlingError {
  return new StarlingError('invalid-manifest', `manifest not usable: ${problem}`, {
    next: 'publish the job again, under a new id, with this version of starling',
    cause,
  });
}
