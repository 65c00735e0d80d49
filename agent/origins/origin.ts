import type { Bytes } from '../../core/ids.ts';

/**
 * The object store as Starling needs it. Implementations: s3://, http(s):// (the embedded origin), file://; all pass
 * test/conformance/origin.ts. Keys are relative to the origin's URL, `/` between segments.
 *
 * Every method throws StarlingError: `origin-unreachable` for what a later try may mend (after the retries of the
 * implementation), `origin-refused` for what none will (403, a missing object in `readRange`, bytes beyond `bytesMax`).
 */
export interface Origin {
  /** As the user named it, without credentials; for messages. */
  readonly url: string;
  /** The whole object, or `undefined` if there is none. */
  readObject(
    key: string,
    limits: { readonly bytesMax: Bytes; readonly signal?: AbortSignal },
  ): Promise<Uint8Array | undefined>;
  /** Exactly `lengthBytes` from `offsetBytes`, in slices as they arrive; fewer or more is an error. */
  readRange(key: string, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Atomic: of two writers one gets `exists`. */
  writeObjectIfAbsent(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'written' | 'exists'>;
  /** Atomic and idempotent: nothing is visible under `key` before all parts are written. */
  writeLargeObject(key: string, upload: LargeUpload): Promise<void>;
  /** True if the object exists with that length. */
  hasObject(key: string, lengthBytes: Bytes): Promise<boolean>;
  close(): Promise<void>;
}

export type ByteRange = { readonly offsetBytes: Bytes; readonly lengthBytes: Bytes };

export type LargeUpload = {
  readonly lengthBytes: Bytes;
  /** Parts may only be cut at multiples of this (the job's chunk starts), so that a range read hits one part. */
  readonly cutsAt: readonly Bytes[];
  /** May be asked for any range between two cuts, several at one time, and again for a retry. */
  readonly read: (range: ByteRange) => Promise<Uint8Array>;
  readonly onProgress?: (writtenBytes: Bytes) => void;
  readonly signal?: AbortSignal;
};
