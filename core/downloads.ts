import type { ChunkSource } from './agent-input.ts';
import type { AgentId, ChunkIndex, Millis } from './ids.ts';

export type Download = {
  readonly chunk: ChunkIndex;
  readonly source: ChunkSource;
  progressedAt: Millis;
  /** The first bytes are on disk: the chunk can be passed on. */
  hasBytes: boolean;
  passedOn: boolean;
  /** We gave it up; its end is still to come, and the chunk cannot be asked elsewhere before. */
  cancelled: boolean;
};

/** The chunks in flight to us: one transfer a chunk, from a peer or from the origin. */
export class Downloads {
  readonly #byChunk = new Map<ChunkIndex, Download>();
  #fromOrigin = 0;

  get size(): number {
    return this.#byChunk.size;
  }

  get fromOrigin(): number {
    return this.#fromOrigin;
  }

  get fromPeers(): number {
    return this.#byChunk.size - this.#fromOrigin;
  }

  has(chunk: ChunkIndex): boolean {
    return this.#byChunk.has(chunk);
  }

  find(chunk: ChunkIndex, source: ChunkSource): Download | undefined {
    const download = this.#byChunk.get(chunk);
    return download && isSameSource(download.source, source) ? download : undefined;
  }

  start(chunk: ChunkIndex, source: ChunkSource, now: Millis): void {
    this.#byChunk.set(chunk, {
      chunk,
      source,
      progressedAt: now,
      hasBytes: false,
      passedOn: false,
      cancelled: false,
    });
    if (source.kind === 'origin') this.#fromOrigin += 1;
  }

  end(download: Download): void {
    this.#byChunk.delete(download.chunk);
    if (download.source.kind === 'origin') this.#fromOrigin -= 1;
  }

  [Symbol.iterator](): IterableIterator<Download> {
    return this.#byChunk.values();
  }

  *from(peer: AgentId): Generator<Download> {
    for (const download of this.#byChunk.values()) {
      if (download.source.kind === 'peer' && download.source.peer === peer) yield download;
    }
  }
}

export function isSameSource(one: ChunkSource, other: ChunkSource): boolean {
  if (one.kind === 'origin' || other.kind === 'origin') return one.kind === other.kind;
  return one.peer === other.peer;
}
