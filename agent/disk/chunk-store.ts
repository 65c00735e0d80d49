import type { ChunkSet } from '../../core/chunk-set.ts';
import type { Bytes, ChunkIndex } from '../../core/ids.ts';

/**
 * Where the chunks of one job lie while they are received, verified and served. Implementations pass
 * test/conformance/chunk-store.ts.
 */
export interface ChunkStore {
  /** Verified chunks on disk; grows by `ChunkReceiver.finish`. Read only for others. */
  readonly have: ChunkSet;
  /** Start to receive a chunk that is not had. At most one receiver a chunk: the one before must have ended. */
  receive(chunk: ChunkIndex): ChunkReceiver;
  /** The receiver at work on the chunk, if there is one: its bytes can be passed on as they arrive. */
  receiving(chunk: ChunkIndex): ChunkReceiver | undefined;
  /**
   * Fill `target` from `offsetBytes` of the chunk. The range must lie within a chunk that is had, or within the
   * `availableBytes` of its receiver. Throws `disk-failed`.
   */
  read(chunk: ChunkIndex, offsetBytes: Bytes, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** One attempt to receive one chunk. Ends by `finish` or `abort`; both are safe to call once only. */
export interface ChunkReceiver {
  readonly chunk: ChunkIndex;
  readonly lengthBytes: Bytes;
  /** From the start of the chunk, on disk and readable, not verified. Grows. */
  readonly availableBytes: Bytes;
  /**
   * Hash and write what came next. `slice` is copied or used up before the promise resolves; await it before the next
   * (that is the back-pressure). Throws `disk-full` / `disk-failed`; asserts that no more than `lengthBytes` come.
   */
  write(slice: Uint8Array): Promise<void>;
  /** All bytes came: flush, compare the hash. `verified`: had from now on, and in the journal. */
  finish(): Promise<'verified' | 'corrupt'>;
  /** Give up; when it resolves no write is under way and another receiver may start. */
  abort(): Promise<void>;
  /**
   * For passing on: resolves with `more` when `availableBytes` > `offsetBytes`, with `ended` when the receiver ended
   * without that (then ask `store.have`). While somebody waits, slices go to disk at once instead of in large writes.
   */
  waitBeyond(offsetBytes: Bytes): Promise<'more' | 'ended'>;
}
