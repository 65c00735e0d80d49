import type { Bytes, Millis } from '../core/ids.ts';

const BUCKET_MS = 500;
const BUCKETS_MAX = 10;

/** Bytes a second over the last five seconds, or since the first byte if that is shorter. */
export class RateMeter {
  readonly #buckets: { readonly startedAt: Millis; bytes: Bytes }[] = [];

  add(bytes: Bytes, now: Millis): void {
    const last = this.#buckets.at(-1);
    if (last && now - last.startedAt < BUCKET_MS) {
      last.bytes += bytes;
      return;
    }
    this.#buckets.push({ startedAt: now, bytes });
    if (this.#buckets.length > BUCKETS_MAX) this.#buckets.shift();
  }

  bytesPerSecond(now: Millis): number {
    const windowMs = BUCKET_MS * BUCKETS_MAX;
    const recent = this.#buckets.filter(bucket => now - bucket.startedAt <= windowMs);
    const first = recent[0];
    if (!first) return 0;
    const total = recent.reduce((sum, bucket) => sum + bucket.bytes, 0);
    return Math.round((total * 1000) / Math.max(BUCKET_MS, now - first.startedAt));
  }
}
