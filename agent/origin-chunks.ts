import type { ChunkFailure } from '../core/agent-input.ts';
import { chunkOffsets } from '../core/chunk-spans.ts';
import { StarlingError } from '../core/errors.ts';
import type { Bytes, ChunkIndex } from '../core/ids.ts';
import type { Manifest } from '../core/manifest.ts';
import type { ReceiveOutcome } from './chunk-transfer.ts';
import type { Origin } from './origins/origin.ts';

/** Reads chunks of one job from the object in which the origin keeps them back to back. */
export class OriginChunks {
  readonly #origin: Origin;
  readonly #manifest: Manifest;
  readonly #offsets: Float64Array;

  constructor(origin: Origin, manifest: Manifest) {
    this.#origin = origin;
    this.#manifest = manifest;
    this.#offsets = chunkOffsets(manifest);
  }

  lengthOf(chunk: ChunkIndex): Bytes {
    return this.#manifest.chunks[chunk]?.lengthBytes ?? 0;
  }

  /** Rejects only if `sink` does. */
  async receive(
    chunk: ChunkIndex,
    sink: (slice: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<ReceiveOutcome> {
    const range = { offsetBytes: this.#offsets[chunk] ?? 0, lengthBytes: this.lengthOf(chunk) };
    const slices = this.#origin.readRange(this.#manifest.source.key, range, signal)[Symbol.asyncIterator]();
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await slices.next();
      } catch (cause) {
        return { kind: 'failed', failure: failureOf(cause) };
      }
      if (next.done) return { kind: 'received', passedOn: false };
      try {
        await sink(next.value);
      } catch (cause) {
        await slices.return?.().catch(() => undefined);
        throw cause;
      }
    }
  }
}

function failureOf(cause: unknown): ChunkFailure {
  if (cause instanceof StarlingError && cause.code === 'origin-refused') return { kind: 'refused', why: cause.message };
  return { kind: 'busy', retryAfterMs: undefined };
}
