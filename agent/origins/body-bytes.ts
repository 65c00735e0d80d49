import type { Readable } from 'node:stream';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';

/** All of a body. Throws `origin-refused` as soon as it is longer than `bytesMax`; leaving off closes the body. */
export async function collectBody(what: string, body: Readable, bytesMax: Bytes): Promise<Uint8Array> {
  const slices: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const slice of body) {
    if (!(slice instanceof Uint8Array)) throw new TypeError('a body must be bytes');
    lengthBytes += slice.length;
    if (lengthBytes > bytesMax) {
      throw new StarlingError('origin-refused', `${what}: the object is longer than the ${bytesMax} bytes allowed`);
    }
    slices.push(slice);
  }
  return Buffer.concat(slices);
}
