import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ChunkSpans } from '../../core/chunk-spans.ts';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes, ChunkIndex } from '../../core/ids.ts';
import { errnoOf, fileError } from './file-error.ts';
import { hashSpans } from './hash-pool.ts';
import { OpenFiles, readFully } from './open-files.ts';
import { changedFile, type SourceTree } from './source-tree.ts';
import type { FileSpan } from './span-hasher.ts';

/** The files of a job at its publisher, read as the bytes of its chunks. */
export class SourceChunks {
  readonly #tree: SourceTree;
  readonly #spans: ChunkSpans;
  readonly #files = new OpenFiles({
    open: path => open(path, constants.O_RDONLY | constants.O_NOFOLLOW),
    openMax: config.disk.openFilesMax,
  });

  constructor(tree: SourceTree, spans: ChunkSpans) {
    this.#tree = tree;
    this.#spans = spans;
  }

  /** SHA-256 of every chunk, in parallel. Throws `source-changed`, `source-unreadable`, or the signal's reason. */
  async digests(hooks: {
    readonly onProgress: (hashedBytes: Bytes) => void;
    readonly signal?: AbortSignal | undefined;
  }): Promise<string[]> {
    const chunkCount = this.#spans.offsets.length - 1;
    const digests = new Array<string>(chunkCount).fill('');
    let hashedBytes = 0;
    await hashSpans({
      tasks: this.#tasks(chunkCount),
      lengthBytes: this.#tree.lengthBytes,
      fileCount: this.#spans.files.length,
      signal: hooks.signal,
      onHashed: (chunk, outcome) => {
        const span = outcome.kind === 'hashed' ? undefined : this.#spans.ofChunk(chunk)[outcome.span];
        const path = this.#tree.locate(span?.file.path ?? '');
        if (outcome.kind === 'short') throw changed(path);
        if (outcome.kind === 'unreadable')
          throw outcome.errno === 'ENOENT' ? changed(path) : unreadable(path, outcome.errno);
        digests[chunk] = outcome.sha256;
        hashedBytes += this.#spans.lengthOf(chunk);
        hooks.onProgress(hashedBytes);
      },
    });
    return digests;
  }

  /**
   * Any range of the job's bytes. Every chunk that lies whole in it is compared with its digest. Throws `source-changed`
   * naming the file, or `source-unreadable`.
   */
  async read(
    range: { readonly offsetBytes: Bytes; readonly lengthBytes: Bytes },
    digests: readonly string[],
  ): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(range.lengthBytes);
    for (let at = 0; at < range.lengthBytes; ) {
      const chunk = this.#chunkAt(range.offsetBytes + at);
      const offsetBytes = range.offsetBytes + at - (this.#spans.offsets[chunk] ?? 0);
      const lengthBytes = Math.min(this.#spans.lengthOf(chunk) - offsetBytes, range.lengthBytes - at);
      const target = bytes.subarray(at, at + lengthBytes);
      await this.#fill(chunk, offsetBytes, target);
      const isWhole = lengthBytes === this.#spans.lengthOf(chunk);
      if (isWhole && hash('sha256', target, 'hex') !== digests[chunk]) throw await this.#changedIn(chunk);
      at += lengthBytes;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#files.closeAll();
  }

  *#tasks(chunkCount: number): Generator<readonly FileSpan[]> {
    for (let chunk = 0; chunk < chunkCount; chunk += 1) {
      yield this.#spans.ofChunk(chunk).map(({ file, fileOffsetBytes, lengthBytes }) => ({
        path: this.#tree.locate(file.path),
        offsetBytes: fileOffsetBytes,
        lengthBytes,
      }));
    }
  }

  async #fill(chunk: ChunkIndex, offsetBytes: Bytes, target: Uint8Array): Promise<void> {
    for (const span of this.#spans.within(chunk, { offsetBytes, lengthBytes: target.length })) {
      const path = this.#tree.locate(span.file.path);
      const start = span.chunkOffsetBytes - offsetBytes;
      const piece = target.subarray(start, start + span.lengthBytes);
      const count = await this.#files
        .use(path, handle => readFully(handle, piece, span.fileOffsetBytes))
        .catch(cause => {
          if (errnoOf(cause) === 'ENOENT') throw changed(path);
          throw fileError('source-unreadable', `cannot read ${path}`, cause, { next: READABLE });
        });
      if (count < piece.length) throw changed(path);
    }
  }

  async #changedIn(chunk: ChunkIndex): Promise<StarlingError> {
    const paths = this.#spans.ofChunk(chunk).map(span => span.file.path);
    const path = await changedFile(this.#tree, paths);
    return changed(path ?? this.#tree.locate(paths[0] ?? ''));
  }

  /** The last chunk that starts at or before `offset`. */
  #chunkAt(offset: Bytes): ChunkIndex {
    let low = 0;
    let high = this.#spans.offsets.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#spans.offsets[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

const READABLE = 'check that you may read it, and that its disk works';

function changed(path: string): StarlingError {
  return new StarlingError('source-changed', `${path} was changed while it was published`, {
    next: 'see to it that nothing writes there, then publish again',
  });
}

function unreadable(path: string, errno: string): StarlingError {
  return new StarlingError('source-unreadable', `cannot read ${path}: ${errno}`, { next: READABLE });
}
