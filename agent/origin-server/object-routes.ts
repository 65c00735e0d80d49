import { open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { config } from '../../core/config.ts';
import type { Bytes } from '../../core/ids.ts';
import { fileFailure } from '../origins/file-failure.ts';
import { type ObjectDirectory, writeFully } from '../origins/object-directory.ts';
import { parseRange } from './byte-range.ts';
import { emptyReply, methodReply, problemReply, type Reply, tooLong } from './reply.ts';
import { announcedLength, type BodyMeter } from './request-body.ts';

/** `/v1/objects/<key>`: GET and HEAD with one Range, PUT with `If-None-Match: *`. */
export async function answerObject(
  request: IncomingMessage,
  key: string,
  directory: ObjectDirectory,
  meter: BodyMeter,
): Promise<Reply> {
  switch (request.method) {
    case 'GET':
      return read(request.headers.range, key, directory);
    case 'HEAD':
      return describe(key, directory);
    case 'PUT':
      return write(request, key, directory, meter);
    default:
      return methodReply('GET, HEAD, PUT');
  }
}

async function read(header: string | undefined, key: string, directory: ObjectDirectory): Promise<Reply> {
  const object = await directory.open(key);
  if (object === undefined) return missing(key);
  const { lengthBytes } = object;
  if (header === undefined) {
    const range = { offsetBytes: 0, lengthBytes };
    return { kind: 'object', status: 200, headers: objectHeaders(lengthBytes), object, range };
  }
  const range = parseRange(header, lengthBytes);
  if (range === 'unsatisfiable') {
    await object.handle.close();
    const reply = problemReply(416, {
      code: 'usage',
      message: `the object has ${lengthBytes} bytes; ${JSON.stringify(header.slice(0, 100))} is no range of it`,
    });
    return { ...reply, headers: { ...reply.headers, 'content-range': `bytes */${lengthBytes}` } };
  }
  const last = range.offsetBytes + range.lengthBytes - 1;
  const headers = {
    ...objectHeaders(range.lengthBytes),
    'content-range': `bytes ${range.offsetBytes}-${last}/${lengthBytes}`,
  };
  return { kind: 'object', status: 206, headers, object, range };
}

async function describe(key: string, directory: ObjectDirectory): Promise<Reply> {
  const lengthBytes = await directory.lengthOf(key);
  return lengthBytes === undefined ? missing(key) : emptyReply(200, objectHeaders(lengthBytes));
}

/** The body goes to a staged file and from there under its key in one step, if no object is there. */
async function write(
  request: IncomingMessage,
  key: string,
  directory: ObjectDirectory,
  meter: BodyMeter,
): Promise<Reply> {
  if (request.headers['if-none-match'] !== '*') {
    return problemReply(428, { code: 'usage', message: 'objects never change: PUT needs the header If-None-Match: *' });
  }
  const lengthBytes = announcedLength(request);
  if (lengthBytes === undefined) return problemReply(411, { code: 'usage', message: 'PUT needs a Content-Length' });
  if (lengthBytes > config.originServer.objectBytesMax) return tooLong(config.originServer.objectBytesMax);
  if ((await directory.lengthOf(key)) !== undefined) return exists(key);
  await directory.prepare();
  const path = directory.stagedPath();
  try {
    await stage(request, path, meter);
    return (await directory.publish(path, key)) === 'written' ? emptyReply(201, {}) : exists(key);
  } finally {
    await rm(path, { force: true });
  }
}

async function stage(request: IncomingMessage, path: string, meter: BodyMeter): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    let at = 0;
    for await (const slice of meter.slices(request)) {
      await writeFully(handle, slice, at);
      at += slice.length;
    }
    await handle.sync();
  } catch (cause) {
    throw fileFailure(cause, 'storing an object');
  } finally {
    await handle.close();
  }
}

function objectHeaders(lengthBytes: Bytes): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'content-length': String(lengthBytes),
    'accept-ranges': 'bytes',
  };
}

function missing(key: string): Reply {
  return problemReply(404, { code: 'origin-refused', message: `there is no object ${JSON.stringify(key)}` });
}

function exists(key: string): Reply {
  return problemReply(412, { code: 'origin-refused', message: `the object ${JSON.stringify(key)} exists` });
}
