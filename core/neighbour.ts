import { ChunkSet } from './chunk-set.ts';
import type { ChunkIndex, Millis } from './ids.ts';
import type { PeerEntry, PeerHello } from './peer-message.ts';

/**
 * A peer we are connected to, as far as we know it. `have` and `arriving` never hold the same chunk; only
 * NeighbourSet changes them, because it counts the copies.
 */
export class Neighbour {
  readonly entry: PeerEntry;
  /** Verified by it, as it says. */
  readonly have: ChunkSet;
  /** It receives them now, from anybody; also what we offered it and it has not answered. */
  readonly arriving: ChunkSet;
  /** Offers of ours it has not answered, and when we stop waiting. */
  readonly offers = new Map<ChunkIndex, Millis>();
  /** Chunks it is sending us. */
  requestCount = 0;
  /** Chunks we are sending it. */
  uploadCount = 0;
  /** We have verified a chunk that came from it: what it says it has is worth waiting for. */
  hasGiven = false;
  /** Transfers from it in which no byte moved any more. */
  stallCount = 0;
  /** It said that it has no download slot free: no offer before this. */
  fullUntil: Millis = 0;

  constructor(hello: PeerHello) {
    this.entry = hello.from;
    this.have = new ChunkSet(hello.have.chunkCount);
    this.arriving = new ChunkSet(hello.have.chunkCount);
  }

  get isSeed(): boolean {
    return this.have.isFull;
  }
}
