import type { Bytes } from '../../core/ids.ts';

const NEWLINE = 0x0a;

/** Cuts what comes in into lines. Holds at most one unfinished line of `lengthBytesMax`. */
export class LineReader {
  readonly #lengthBytesMax: Bytes;
  #held = Buffer.alloc(0);
  #heldBytes = 0;

  constructor(lengthBytesMax: Bytes) {
    this.#lengthBytesMax = lengthBytesMax;
  }

  /** The lines that `slice` completed, without their newlines; `too-long` as soon as one cannot become valid. */
  push(slice: Uint8Array): readonly string[] | 'too-long' {
    const lines: string[] = [];
    let start = 0;
    for (;;) {
      const end = slice.indexOf(NEWLINE, start);
      if (this.#heldBytes + (end < 0 ? slice.length : end) - start > this.#lengthBytesMax) return 'too-long';
      if (end < 0) break;
      this.#hold(slice.subarray(start, end));
      lines.push(this.#held.toString('utf8', 0, this.#heldBytes));
      this.#heldBytes = 0;
      start = end + 1;
    }
    this.#hold(slice.subarray(start));
    return lines;
  }

  // Doubling, so that a peer that sends byte by byte costs a copy of each byte twice, not a list of slices.
  #hold(part: Uint8Array): void {
    const needed = this.#heldBytes + part.length;
    if (needed > this.#held.length) {
      const grown = Buffer.alloc(Math.max(256, needed, Math.min(2 * this.#held.length, this.#lengthBytesMax)));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    this.#held.set(part, this.#heldBytes);
    this.#heldBytes = needed;
  }
}
