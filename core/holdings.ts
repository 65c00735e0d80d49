import type { ChunkSource } from './agent-input.ts';
import { assert } from './assert.ts';
import { ChunkSet } from './chunk-set.ts';
import { config } from './config.ts';
import { type Download, Downloads } from './downloads.ts';
import type { ChunkIndex, Millis } from './ids.ts';
import { UpdateBatch } from './update-batch.ts';

/** What this agent has, what is on its way, and what the neighbours have yet to hear of it. */
export class Holdings {
  /** Verified on disk. Grows, never shrinks, within a boot. */
  readonly have: ChunkSet;
  /** Asked of a peer or of the origin. */
  readonly inFlight: ChunkSet;
  /** `have`, and of `inFlight` what has its first bytes on disk: it can be passed on while it arrives (cut-through). */
  readonly offerable: ChunkSet;
  readonly downloads = new Downloads();
  readonly news = new UpdateBatch();
  /** When a peer, or a pull that the tracker leased to us, last moved a chunk on. */
  gainedAt: Millis;

  constructor(have: ChunkSet, now: Millis) {
    this.gainedAt = now;
    this.have = have.clone();
    this.offerable = have.clone();
    this.inFlight = new ChunkSet(have.chunkCount);
  }

  /** Neither had nor on its way. */
  lacks(chunk: ChunkIndex): boolean {
    return !this.have.has(chunk) && !this.inFlight.has(chunk);
  }

  get lackedCount(): number {
    return this.have.chunkCount - this.have.size - this.inFlight.size;
  }

  start(chunk: ChunkIndex, source: ChunkSource, now: Millis): void {
    assert(this.lacks(chunk), `chunk ${chunk} asked twice`);
    this.downloads.start(chunk, source, now);
    this.inFlight.add(chunk);
    this.news.add(chunk, 'arriving', now + config.exchange.updateDelayMs);
  }

  /** True the first time: the chunk has just become offerable. */
  progress(download: Download, passedOn: boolean, now: Millis): boolean {
    download.progressedAt = now;
    download.passedOn = passedOn;
    if (download.hasBytes || download.cancelled) return false;
    download.hasBytes = true;
    return this.offerable.add(download.chunk);
  }

  keep(download: Download, now: Millis): void {
    this.#end(download);
    this.have.add(download.chunk);
    this.offerable.add(download.chunk);
    this.news.add(download.chunk, 'have', now + config.exchange.updateDelayMs);
  }

  drop(download: Download, now: Millis): void {
    this.#end(download);
    this.offerable.delete(download.chunk);
    this.news.add(download.chunk, 'dropped', now + config.exchange.updateDelayMs);
  }

  #end(download: Download): void {
    this.downloads.end(download);
    this.inFlight.delete(download.chunk);
  }
}
