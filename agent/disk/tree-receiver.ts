import { createHash } from 'node:crypto';
import { assert } from '../../core/assert.ts';
import type { Bytes, ChunkIndex } from '../../core/ids.ts';
import type { SliceBuffers } from '../peers/slice-buffers.ts';
import type { ChunkReceiver } from './chunk-store.ts';

/** What a receiver needs of the store it writes into. */
export type ReceiverParts = {
  readonly chunk: ChunkIndex;
  readonly lengthBytes: Bytes;
  readonly sha256: string;
  readonly buffers: SliceBuffers;
  readonly writeAt: (offsetBytes: Bytes, bytes: Uint8Array) => Promise<void>;
  /** Journal the chunk, then call it had. */
  readonly onVerified: () => Promise<void>;
  /** Nothing is under way any more; another receiver may start. */
  readonly onEnded: () => void;
};

type Waiter = { readonly offsetBytes: Bytes; readonly resolve: (what: 'more' | 'ended') => void };

/**
 * Hashes and writes one chunk as it comes. Slices are gathered in a buffer; while one buffer is on its way to the disk
 * the next is filled, so at most two are held. A buffer goes out when it is full, or when somebody waits for its bytes
 * and none is on its way: then the disk's own pace sets the length of the writes.
 */
export class TreeReceiver implements ChunkReceiver {
  readonly chunk: ChunkIndex;
  readonly lengthBytes: Bytes;
  readonly #parts: ReceiverParts;
  readonly #hash = createHash('sha256');
  #availableBytes = 0;
  /** Taken from the caller: written, on their way, or in the buffer. */
  #takenBytes = 0;
  #buffer: Uint8Array | undefined;
  #filledBytes = 0;
  /** Never rejects: a failure is kept in `#failure`. */
  #flush: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;
  #state: 'receiving' | 'ending' | 'ended' = 'receiving';
  #waiters: Waiter[] = [];

  constructor(parts: ReceiverParts) {
    this.chunk = parts.chunk;
    this.lengthBytes = parts.lengthBytes;
    this.#parts = parts;
  }

  get availableBytes(): Bytes {
    return this.#availableBytes;
  }

  async write(slice: Uint8Array): Promise<void> {
    assert(this.#state === 'receiving', `chunk ${this.chunk} is written to after its end`);
    assert(this.#takenBytes + slice.length <= this.lengthBytes, `chunk ${this.chunk} gets more bytes than it has`);
    this.#takenBytes += slice.length;
    for (let taken = 0; taken < slice.length; ) {
      if (this.#filledBytes === this.#parts.buffers.lengthBytes) await this.#flushBuffer();
      if (this.#state !== 'receiving') return; // Aborted meanwhile: nothing may be written any more.
      const buffer = this.#buffer ?? this.#parts.buffers.take();
      this.#buffer = buffer;
      const count = Math.min(buffer.length - this.#filledBytes, slice.length - taken);
      buffer.set(slice.subarray(taken, taken + count), this.#filledBytes);
      this.#filledBytes += count;
      taken += count;
    }
    if (this.#waiters.length > 0 || this.#filledBytes === this.#parts.buffers.lengthBytes) this.#startFlush();
    this.#throwFailure();
  }

  async finish(): Promise<'verified' | 'corrupt'> {
    assert(this.#state === 'receiving', `chunk ${this.chunk} is finished after its end`);
    assert(this.#takenBytes === this.lengthBytes, `chunk ${this.chunk} is finished without all its bytes`);
    this.#state = 'ending';
    await this.#flushBuffer();
    await this.#flush;
    this.#throwFailure();
    const isGood = this.#hash.digest('hex') === this.#parts.sha256;
    if (isGood) await this.#parts.onVerified();
    this.#end();
    return isGood ? 'verified' : 'corrupt';
  }

  async abort(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'ending';
    this.#filledBytes = 0;
    await this.#flush;
    this.#end();
  }

  waitBeyond(offsetBytes: Bytes): Promise<'more' | 'ended'> {
    if (this.#availableBytes > offsetBytes) return Promise.resolve('more');
    if (this.#state === 'ended') return Promise.resolve('ended');
    return new Promise(resolve => {
      this.#waiters.push({ offsetBytes, resolve });
      this.#startFlush();
    });
  }

  /** Send the buffer out after the one that is on its way; returns when the next one may be filled. */
  async #flushBuffer(): Promise<void> {
    while (this.#flush && this.#filledBytes > 0) await this.#flush;
    this.#throwFailure();
    this.#startFlush();
  }

  /** Nothing if a buffer is on its way (its end looks again), or there is nothing to write. */
  #startFlush(): void {
    const buffer = this.#buffer;
    if (this.#flush || this.#failure || !buffer || this.#filledBytes === 0) return;
    const bytes = buffer.subarray(0, this.#filledBytes);
    this.#buffer = undefined;
    this.#filledBytes = 0;
    this.#hash.update(bytes);
    this.#flush = this.#parts.writeAt(this.#availableBytes, bytes).then(
      () => this.#flushed(buffer, bytes.length),
      cause => {
        this.#failure = { cause };
        this.#flush = undefined;
      },
    );
  }

  #flushed(buffer: Uint8Array, count: Bytes): void {
    this.#parts.buffers.giveBack(buffer);
    this.#flush = undefined;
    this.#availableBytes += count;
    this.#wake();
    if (this.#waiters.length > 0) this.#startFlush();
  }

  #wake(): void {
    const waiting = this.#waiters;
    this.#waiters = waiting.filter(waiter => waiter.offsetBytes >= this.#availableBytes);
    for (const waiter of waiting) if (waiter.offsetBytes < this.#availableBytes) waiter.resolve('more');
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.cause;
  }

  #end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    if (this.#buffer) this.#parts.buffers.giveBack(this.#buffer);
    this.#buffer = undefined;
    this.#filledBytes = 0;
    this.#parts.onEnded();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve('ended');
  }
}
