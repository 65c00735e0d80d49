import type { Bytes } from '../../core/ids.ts';

/** Buffers of one length that are used again and again: a fresh one for every slice would be a page fault each time. */
export class SliceBuffers {
  readonly lengthBytes: Bytes;
  readonly #keptMax: number;
  readonly #free: Uint8Array[] = [];

  constructor(lengthBytes: Bytes, keptMax: number) {
    this.lengthBytes = lengthBytes;
    this.#keptMax = keptMax;
  }

  /** Allocates when none is free: the number in use is bounded by the uploads, not here. */
  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.lengthBytes);
  }

  /** Only when nobody reads from it any more. */
  giveBack(buffer: Uint8Array): void {
    if (this.#free.length < this.#keptMax) this.#free.push(buffer);
  }
}
