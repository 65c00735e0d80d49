import type { IncomingMessage } from 'node:http';
import type { Bytes } from '../../core/ids.ts';

/** The client went away, or was cut, before its body was whole. There is nobody to answer. */
export class BodyCut extends Error {
  override readonly name = 'BodyCut';
}

/** Counts what comes in. */
export class BodyMeter {
  receivedBytes: Bytes = 0;

  /** The body as it comes; the next slice is asked for when the last one is dealt with. Throws `BodyCut`. */
  async *slices(request: IncomingMessage): AsyncGenerator<Uint8Array> {
    try {
      for await (const slice of request.iterator({ destroyOnReturn: false })) {
        if (!(slice instanceof Uint8Array)) throw new TypeError('a body must be bytes');
        this.receivedBytes += slice.length;
        yield slice;
      }
    } catch (cause) {
      if (request.complete) throw cause;
      throw new BodyCut('the body broke off', { cause });
    }
  }
}

/** As said by Content-Length, which node holds the body to. `undefined` when it is sent in chunks, or there is none. */
export function announcedLength(request: IncomingMessage): Bytes | undefined {
  const text = request.headers['content-length'];
  return text === undefined || !/^\d{1,15}$/.test(text) ? undefined : Number(text);
}

/** All of a short body, or `too-long` as soon as it is longer than `bytesMax`. */
export async function collectBody(
  request: IncomingMessage,
  bytesMax: Bytes,
  meter: BodyMeter,
): Promise<Uint8Array | 'too-long'> {
  if ((announcedLength(request) ?? 0) > bytesMax) return 'too-long';
  const slices: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const slice of meter.slices(request)) {
    lengthBytes += slice.length;
    if (lengthBytes > bytesMax) return 'too-long';
    slices.push(slice);
  }
  return Buffer.concat(slices);
}
