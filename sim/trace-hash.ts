import type { Millis } from '../core/ids.ts';

/** A running hash over everything that happens in a run: two runs with one hash made the same steps at the same times. */
export class TraceHash {
  #high = 0x9e3779b9 | 0;
  #low = 0x243f6a88 | 0;
  /** Steps hashed. */
  steps = 0;

  /** `code` tells what happened, `who` to which machine; `now` counts in nanoseconds, modulo 2^32. */
  mix(code: number, who: number, now: Millis): void {
    this.steps += 1;
    const moment = ((now * 1e6) % 0x1_0000_0000) | 0;
    this.#low = scrambled(this.#low, Math.imul(code, 0x9e3779b1) ^ who);
    this.#high = scrambled(this.#high, moment ^ this.#low);
  }

  /** 16 hex digits. */
  get digest(): string {
    return [finished(this.#high), finished(this.#low ^ this.#high)]
      .map(word => (word >>> 0).toString(16).padStart(8, '0'))
      .join('');
  }
}

/** One round of MurmurHash3 x86 32 (Appleby). */
function scrambled(state: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51);
  mixed = (mixed << 15) | (mixed >>> 17);
  const next = state ^ Math.imul(mixed, 0x1b873593);
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe6546b64) | 0;
}

function finished(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
