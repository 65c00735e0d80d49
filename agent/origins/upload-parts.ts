import pLimit from 'p-limit';
import { assert } from '../../core/assert.ts';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import { throwIfAborted } from './attempts.ts';
import type { ByteRange, LargeUpload } from './origin.ts';

export type Part = ByteRange & {
  /** Counts from 1, as S3 does. */
  readonly number: number;
};

/**
 * Cut an upload into parts of a whole number of chunks, each at least `upload.partBytesMin` long (but the last) and at
 * most `upload.partsMax` of them. Only where chunks are longer than `upload.partBytesMax` a part ends inside one.
 * An empty object has no part. Throws `origin-refused` for an object that no store holds.
 */
export function planParts(upload: Pick<LargeUpload, 'lengthBytes' | 'cutsAt'>): readonly Part[] {
  const { partBytesMin, partBytesMax, partBytesLimit, partsMax } = config.upload;
  const aimedBytes = Math.max(partBytesMin, Math.ceil(upload.lengthBytes / partsMax));
  if (aimedBytes > partBytesLimit) {
    throw new StarlingError('origin-refused', `an object of ${upload.lengthBytes} bytes is too large for an origin`, {
      next: `publish it as several jobs of at most ${partsMax * partBytesLimit} bytes`,
    });
  }
  const farthestBytes = Math.max(aimedBytes, partBytesMax);
  const cuts = [...upload.cutsAt, upload.lengthBytes]
    .filter(cut => cut > 0 && cut <= upload.lengthBytes)
    .sort((a, b) => a - b);
  const parts: Part[] = [];
  let cutIndex = 0;
  for (let start = 0; start < upload.lengthBytes; ) {
    while ((cuts[cutIndex] ?? upload.lengthBytes) < Math.min(start + aimedBytes, upload.lengthBytes)) cutIndex += 1;
    const cut = cuts[cutIndex] ?? upload.lengthBytes;
    const end = cut - start <= farthestBytes ? cut : start + aimedBytes;
    parts.push({ number: parts.length + 1, offsetBytes: start, lengthBytes: end - start });
    start = end;
  }
  return parts;
}

/**
 * Read and send all parts, several at one time, and tell the progress. The first failure ends it: parts under way are
 * let finish (their `send` hears `signal`), no other is begun, and the failure is thrown.
 */
export async function sendParts(
  parts: readonly Part[],
  upload: LargeUpload,
  send: (part: Part, bytes: Uint8Array, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = upload.signal === undefined ? stop.signal : AbortSignal.any([upload.signal, stop.signal]);
  let writtenBytes = 0;
  const sendOne = async (part: Part): Promise<void> => {
    if (signal.aborted) return;
    try {
      const bytes = await upload.read({ offsetBytes: part.offsetBytes, lengthBytes: part.lengthBytes });
      assert(bytes.length === part.lengthBytes, 'an upload reads exactly what it is asked for');
      await send(part, bytes, signal);
      writtenBytes += part.lengthBytes;
      upload.onProgress?.(writtenBytes);
    } catch (cause) {
      stop.abort(cause);
      throw cause;
    }
  };
  const limit = pLimit(partsAtOnce(parts));
  await Promise.allSettled(parts.map(part => limit(sendOne, part)));
  throwIfAborted(upload.signal);
  if (stop.signal.aborted) throw stop.signal.reason;
}

/** Each part under way is in memory whole. */
function partsAtOnce(parts: readonly Part[]): number {
  const { partsAtOnceMax, memoryBytesMax } = config.upload;
  const longest = parts.reduce((max, part) => Math.max(max, part.lengthBytes), 1);
  return Math.min(partsAtOnceMax, Math.max(1, Math.floor(memoryBytesMax / longest)));
}
