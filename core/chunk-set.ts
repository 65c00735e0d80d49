import { assert } from './assert.ts';
import type { ChunkIndex } from './ids.ts';

const WORD_BITS = 32;

/**
 * A set of chunk indices below a fixed `chunkCount`, one bit each: 1,000 chunks are 125 bytes on the wire.
 * All set operations want sets of one shape and throw AssertionError otherwise: shapes are checked at the border.
 */
export class ChunkSet {
  readonly chunkCount: number;
  /** Bit `c & 31` of word `c >>> 5`; bits at and above `chunkCount` are 0. Policies read it; only this class writes. */
  readonly words: Uint32Array;
  #size = 0;

  constructor(chunkCount: number) {
    assert(Number.isSafeInteger(chunkCount) && chunkCount >= 0, `chunk count ${chunkCount}`);
    this.chunkCount = chunkCount;
    this.words = new Uint32Array(Math.ceil(chunkCount / WORD_BITS));
  }

  static of(chunkCount: number, chunks: Iterable<ChunkIndex>): ChunkSet {
    const set = new ChunkSet(chunkCount);
    for (const chunk of chunks) set.add(chunk);
    return set;
  }

  static full(chunkCount: number): ChunkSet {
    const set = new ChunkSet(chunkCount);
    set.words.fill(0xffff_ffff);
    const spare = set.words.length * WORD_BITS - chunkCount;
    if (spare > 0) set.words[set.words.length - 1] = 0xffff_ffff >>> spare;
    set.#size = chunkCount;
    return set;
  }

  /**
   * From the wire: byte `c >>> 3` holds chunk `c` at bit `c & 7`. Returns `undefined` if the length does not fit
   * `chunkCount` or a bit beyond it is set: such a peer speaks of another job, or lies.
   */
  static fromBytes(chunkCount: number, bytes: Uint8Array): ChunkSet | undefined {
    if (bytes.length !== Math.ceil(chunkCount / 8)) return undefined;
    const spare = bytes.length * 8 - chunkCount;
    const last = bytes[bytes.length - 1] ?? 0;
    if (spare > 0 && last >>> (8 - spare) !== 0) return undefined;
    const set = new ChunkSet(chunkCount);
    for (let index = 0; index < bytes.length; index += 1) {
      const word = index >>> 2;
      set.words[word] = ((set.words[word] as number) | ((bytes[index] as number) << ((index & 3) * 8))) >>> 0;
    }
    for (const word of set.words) set.#size += popCount(word);
    return set;
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(Math.ceil(this.chunkCount / 8));
    for (let index = 0; index < bytes.length; index += 1) {
      bytes[index] = ((this.words[index >>> 2] as number) >>> ((index & 3) * 8)) & 0xff;
    }
    return bytes;
  }

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size === this.chunkCount;
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  has(chunk: ChunkIndex): boolean {
    return (((this.words[chunk >>> 5] as number) >>> (chunk & 31)) & 1) === 1;
  }

  /** True if the chunk was not there before. */
  add(chunk: ChunkIndex): boolean {
    assert(chunk >= 0 && chunk < this.chunkCount, `chunk ${chunk} of ${this.chunkCount}`);
    if (this.has(chunk)) return false;
    this.words[chunk >>> 5] = ((this.words[chunk >>> 5] as number) | (1 << (chunk & 31))) >>> 0;
    this.#size += 1;
    return true;
  }

  /** True if the chunk was there before. */
  delete(chunk: ChunkIndex): boolean {
    assert(chunk >= 0 && chunk < this.chunkCount, `chunk ${chunk} of ${this.chunkCount}`);
    if (!this.has(chunk)) return false;
    this.words[chunk >>> 5] = ((this.words[chunk >>> 5] as number) & ~(1 << (chunk & 31))) >>> 0;
    this.#size -= 1;
    return true;
  }

  clone(): ChunkSet {
    const copy = new ChunkSet(this.chunkCount);
    copy.words.set(this.words);
    copy.#size = this.#size;
    return copy;
  }

  equals(other: ChunkSet): boolean {
    if (this.chunkCount !== other.chunkCount || this.#size !== other.#size) return false;
    return this.words.every((word, index) => word === other.words[index]);
  }

  /** Ascending. The set must not change meanwhile. */
  *[Symbol.iterator](): Generator<ChunkIndex> {
    for (let index = 0; index < this.words.length; index += 1) {
      let word = this.words[index] as number;
      while (word !== 0) {
        yield index * WORD_BITS + lowestBit(word);
        word &= word - 1;
      }
    }
  }

  /** Ascending: the chunks that are not in the set. */
  *missing(): Generator<ChunkIndex> {
    for (let chunk = 0; chunk < this.chunkCount; chunk += 1) if (!this.has(chunk)) yield chunk;
  }
}

/** Bits set in a 32-bit word (Warren, Hacker's Delight, figure 5-2). */
export function popCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  bits = (bits + (bits >>> 4)) & 0x0f0f_0f0f;
  return Math.imul(bits, 0x0101_0101) >>> 24;
}

/** Position of the lowest set bit; `word` is not 0. */
export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
