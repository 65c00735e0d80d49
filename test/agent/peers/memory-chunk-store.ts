import { createHash, hash } from 'node:crypto';
import type { ChunkReceiver, ChunkStore } from '../../../agent/disk/chunk-store.ts';
import { assert } from '../../../core/assert.ts';
import { ChunkSet } from '../../../core/chunk-set.ts';
import type { Bytes, ChunkIndex } from '../../../core/ids.ts';
import type { Chunk } from '../../../core/manifest.ts';

/** The seam's contract without a disk: chunks lie in memory. */
export class MemoryChunkStore implements ChunkStore {
  readonly have: ChunkSet;
  readonly chunks: readonly Chunk[];
  readonly #bytes = new Map<ChunkIndex, Uint8Array>();
  readonly #receivers = new Map<ChunkIndex, MemoryReceiver>();

  constructor(chunks: readonly Chunk[]) {
    this.chunks = chunks;
    this.have = new ChunkSet(chunks.length);
  }

  /** A store that has every chunk. */
  static holding(contents: readonly Uint8Array[]): MemoryChunkStore {
    const store = new MemoryChunkStore(contents.map(chunkOf));
    for (const [chunk, bytes] of contents.entries()) store.put(chunk, bytes);
    return store;
  }

  put(chunk: ChunkIndex, bytes: Uint8Array): void {
    this.#bytes.set(chunk, bytes);
    this.have.add(chunk);
  }

  receive(chunk: ChunkIndex): ChunkReceiver {
    const expected = this.chunks[chunk];
    assert(expected !== undefined && !this.have.has(chunk), `chunk ${chunk} is received again`);
    assert(!this.#receivers.has(chunk), `chunk ${chunk} is being received`);
    const receiver = new MemoryReceiver(chunk, expected, verified => {
      this.#receivers.delete(chunk);
      if (verified) this.put(chunk, receiver.bytes);
    });
    this.#receivers.set(chunk, receiver);
    return receiver;
  }

  receiving(chunk: ChunkIndex): ChunkReceiver | undefined {
    return this.#receivers.get(chunk);
  }

  async read(chunk: ChunkIndex, offsetBytes: Bytes, target: Uint8Array): Promise<void> {
    const receiver = this.#receivers.get(chunk);
    const bytes = this.#bytes.get(chunk) ?? receiver?.bytes.subarray(0, receiver.availableBytes);
    const isThere = bytes !== undefined && offsetBytes + target.length <= bytes.length;
    assert(isThere, `chunk ${chunk} is read at ${offsetBytes} before it is there`);
    target.set(bytes.subarray(offsetBytes, offsetBytes + target.length));
  }

  async close(): Promise<void> {
    for (const receiver of [...this.#receivers.values()]) await receiver.abort();
  }
}

class MemoryReceiver implements ChunkReceiver {
  readonly chunk: ChunkIndex;
  readonly lengthBytes: Bytes;
  readonly bytes: Uint8Array;
  availableBytes: Bytes = 0;
  readonly #sha256: string;
  readonly #hash = createHash('sha256');
  readonly #onEnd: (verified: boolean) => void;
  #waiters: { readonly offsetBytes: Bytes; readonly resolve: (answer: 'more' | 'ended') => void }[] = [];
  #isEnded = false;

  constructor(chunk: ChunkIndex, expected: Chunk, onEnd: (verified: boolean) => void) {
    this.chunk = chunk;
    this.lengthBytes = expected.lengthBytes;
    this.#sha256 = expected.sha256;
    this.bytes = new Uint8Array(expected.lengthBytes);
    this.#onEnd = onEnd;
  }

  async write(slice: Uint8Array): Promise<void> {
    assert(!this.#isEnded, `chunk ${this.chunk} is written after its end`);
    assert(this.availableBytes + slice.length <= this.lengthBytes, `chunk ${this.chunk} gets more bytes than it has`);
    this.bytes.set(slice, this.availableBytes);
    this.#hash.update(slice);
    this.availableBytes += slice.length;
    this.#wake();
  }

  async finish(): Promise<'verified' | 'corrupt'> {
    assert(this.availableBytes === this.lengthBytes, `chunk ${this.chunk} ends without all its bytes`);
    const verified = this.#hash.digest('hex') === this.#sha256;
    this.#end(verified);
    return verified ? 'verified' : 'corrupt';
  }

  async abort(): Promise<void> {
    this.#end(false);
  }

  waitBeyond(offsetBytes: Bytes): Promise<'more' | 'ended'> {
    return new Promise(resolve => {
      this.#waiters.push({ offsetBytes, resolve });
      this.#wake();
    });
  }

  #end(verified: boolean): void {
    assert(!this.#isEnded, `receiver of chunk ${this.chunk} ended twice`);
    this.#isEnded = true;
    this.#onEnd(verified);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (this.availableBytes > waiter.offsetBytes) waiter.resolve('more');
      else if (this.#isEnded) waiter.resolve('ended');
      else this.#waiters.push(waiter);
    }
  }
}

function chunkOf(bytes: Uint8Array): Chunk {
  return { sha256: hash('sha256', bytes), lengthBytes: bytes.length };
}
