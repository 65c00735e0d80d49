import type { ServerResponse } from 'node:http';
import { StarlingError } from '../../core/errors.ts';
import type { StoredObject } from '../origins/object-directory.ts';
import type { ByteRange } from '../origins/origin.ts';
import type { SliceBuffers } from '../peers/slice-buffers.ts';

/**
 * Send a range of an object and close its handle, whatever happens. One buffer goes round between disk and socket, and
 * is filled again only when the socket took it: a slow client costs its buffer and no more. Returns the bytes taken;
 * fewer than asked for if the client went away. Throws when the disk fails; the connection must then be cut.
 */
export async function sendObject(
  response: ServerResponse,
  object: StoredObject,
  range: ByteRange,
  buffers: SliceBuffers,
): Promise<number> {
  const buffer = buffers.take();
  let sent = 0;
  let isOurs = true;
  try {
    while (sent < range.lengthBytes) {
      const wanted = Math.min(buffer.length, range.lengthBytes - sent);
      const { bytesRead } = await object.handle.read(buffer, 0, wanted, range.offsetBytes + sent);
      if (bytesRead === 0) throw new StarlingError('disk-failed', 'an object became shorter while it was sent');
      isOurs = false;
      if (!(await isTaken(response, buffer.subarray(0, bytesRead)))) return sent;
      isOurs = true;
      sent += bytesRead;
    }
    response.end();
    return sent;
  } finally {
    // A cut socket may still refer to the buffer: that one is left to the garbage collector.
    if (isOurs) buffers.giveBack(buffer);
    await object.handle.close();
  }
}

/** False if the client went away; a write on a socket that is gone may never call back. */
function isTaken(response: ServerResponse, slice: Uint8Array): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise(resolve => {
    const gone = (): void => resolve(false);
    response.once('close', gone);
    response.write(slice, error => {
      response.off('close', gone);
      resolve(error === undefined || error === null);
    });
  });
}
