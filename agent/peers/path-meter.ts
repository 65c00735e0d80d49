import type { Bytes, Millis } from '../../core/ids.ts';
import type { PathEvidence } from './stream-window.ts';

const RATES_KEPT = 4;
const PINGS_KEPT = 5;
/** A shorter time with chunks on their way tells of bursts, not of the path. *guess* */
const ACTIVE_MS_MIN = 100;

/** Measures how fast chunks come in over one session, and its round trip. Times are the caller's clock. */
export class PathMeter {
  readonly #rates: number[] = [];
  readonly #pings: Millis[] = [];
  #roundTripMsMin = Number.POSITIVE_INFINITY;
  #activeCount = 0;
  #activeSince: Millis = 0;
  #activeMs: Millis = 0;
  #bytes: Bytes = 0;

  downloadStarted(now: Millis): void {
    if (this.#activeCount === 0) this.#activeSince = now;
    this.#activeCount += 1;
  }

  received(bytes: Bytes): void {
    this.#bytes += bytes;
  }

  downloadEnded(now: Millis): void {
    this.#activeCount -= 1;
    if (this.#activeCount === 0) this.#activeMs += now - this.#activeSince;
  }

  pinged(roundTripMs: Millis): void {
    this.#roundTripMsMin = Math.min(this.#roundTripMsMin, roundTripMs);
    this.#pings.push(roundTripMs);
    if (this.#pings.length > PINGS_KEPT) this.#pings.shift();
  }

  /** Ends an interval. `undefined` while too little was measured in it to judge by. */
  evidence(now: Millis, loopLagMs: Millis): PathEvidence | undefined {
    if (this.#activeCount > 0) {
      this.#activeMs += now - this.#activeSince;
      this.#activeSince = now;
    }
    if (this.#activeMs < ACTIVE_MS_MIN || this.#pings.length === 0) return undefined;
    this.#rates.push((this.#bytes * 1000) / this.#activeMs);
    if (this.#rates.length > RATES_KEPT) this.#rates.shift();
    this.#bytes = 0;
    this.#activeMs = 0;
    return {
      bytesPerSecond: Math.max(...this.#rates),
      roundTripMs: median(this.#pings),
      roundTripMsMin: this.#roundTripMsMin,
      loopLagMs,
    };
  }
}

/** The upper one of two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >>> 1] ?? 0;
}
