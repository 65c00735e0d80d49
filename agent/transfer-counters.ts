import type { ChunkSource } from '../core/agent-input.ts';
import type { Bytes, Millis } from '../core/ids.ts';
import { RateMeter } from './rate-meter.ts';

/** Where the bytes of one run came from and went to. */
export class TransferCounters {
  readonly #rate = new RateMeter();
  bytesFromOrigin: Bytes = 0;
  bytesFromPeers: Bytes = 0;
  bytesUploaded: Bytes = 0;
  duplicateBytes: Bytes = 0;

  received(bytes: Bytes, now: Millis): void {
    this.#rate.add(bytes, now);
  }

  kept(source: ChunkSource, lengthBytes: Bytes): void {
    if (source.kind === 'origin') this.bytesFromOrigin += lengthBytes;
    else this.bytesFromPeers += lengthBytes;
  }

  rateBytesPerSecond(now: Millis): number {
    return this.#rate.bytesPerSecond(now);
  }
}
