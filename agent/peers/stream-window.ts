import { config } from '../../core/config.ts';
import type { Bytes, Millis } from '../../core/ids.ts';

/** What a receiver knows of the path from one sender. */
export type PathEvidence = {
  /** Fastest of the last seconds in which chunks came, counting only the time when one was on its way. */
  readonly bytesPerSecond: number;
  /** Median of the last pings, as they were answered among the chunks. */
  readonly roundTripMs: Millis;
  /** Shortest ping of the link's life. */
  readonly roundTripMsMin: Millis;
  /** How late our own event loop runs; loops on a busy machine answer late, and that is not a queue in the network. */
  readonly loopLagMs: Millis;
};

/**
 * The HTTP/2 stream window for chunks from one sender: twice what the path carries in one round trip, as a power of
 * two within `streamWindowBytesMin..Max`.
 *
 * A window is also a queue: at a full link, window x senders wait in front of every control message, and the round trip
 * grows by it. So of a long round trip only `roundTripSlackMs` beyond the shortest (and our own lateness) is believed:
 * else each window would prove that it must be doubled. It grows as soon as it is too small, and shrinks only to what
 * leaves half as much room again, so that noise does not move it.
 *
 * Measured: field/prototype.md 2 (20 Mbit/s: 32 KiB 1.134, 64 KiB 1.156, 256 KiB 1.210); theory.md 4.1 (625 KB for
 * 5 Gbit/s at 1 ms).
 */
export function nextStreamWindow(currentBytes: Bytes, path: PathEvidence): Bytes {
  const believedMs = Math.min(
    path.roundTripMs,
    path.roundTripMsMin + config.peers.roundTripSlackMs + 2 * path.loopLagMs,
  );
  const wantedBytes = (2 * path.bytesPerSecond * believedMs) / 1000;
  const shrunk = windowOf(1.5 * wantedBytes);
  return shrunk < currentBytes ? shrunk : Math.max(currentBytes, windowOf(wantedBytes));
}

function windowOf(bytes: Bytes): Bytes {
  let window: Bytes = config.peers.streamWindowBytesMin;
  while (window < bytes && window < config.peers.streamWindowBytesMax) window *= 2;
  return window;
}
