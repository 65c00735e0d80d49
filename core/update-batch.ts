import type { ChunkIndex, Millis } from './ids.ts';
import type { PeerUpdate } from './peer-message.ts';

type ChunkNews = 'have' | 'arriving' | 'dropped';

/** Collects what neighbours must hear, so that they hear it a little later in fewer messages. */
export class UpdateBatch {
  readonly #news = new Map<ChunkIndex, ChunkNews>();
  #dueAt: Millis | undefined;

  get dueAt(): Millis | undefined {
    return this.#dueAt;
  }

  /** The last news of a chunk is the one that counts. */
  add(chunk: ChunkIndex, news: ChunkNews, dueAt: Millis): void {
    this.#news.set(chunk, news);
    this.#dueAt ??= dueAt;
  }

  take(): PeerUpdate {
    const update = { kind: 'update', have: [], arriving: [], dropped: [] } as const satisfies PeerUpdate;
    const lists: { readonly [news in ChunkNews]: ChunkIndex[] } = { have: [], arriving: [], dropped: [] };
    for (const [chunk, news] of this.#news) lists[news].push(chunk);
    this.#news.clear();
    this.#dueAt = undefined;
    return { ...update, ...lists };
  }
}
