import type { IncomingMessage } from 'node:http';
import { unreachable } from '../../core/assert.ts';
import { config } from '../../core/config.ts';
import type { Bytes } from '../../core/ids.ts';
import { emptyReply, methodReply, problemReply, type Reply, tooLong } from './reply.ts';
import { announcedLength, type BodyMeter } from './request-body.ts';
import type { UploadId, UploadStaging } from './upload-staging.ts';

const UPLOAD = /^[A-Za-z0-9-]{1,64}$/;
const COUNT = /^\d{1,15}$/;

/**
 * `/v1/uploads/<key>?upload=<id>&length=<bytes>`: PUT with `&offset=<bytes>` stages one part (204), POST shows the
 * object (201 written, 200 it was there), DELETE forgets the upload (204). The id is drawn by the client, one an
 * upload. All may be repeated.
 */
export async function answerUpload(
  request: IncomingMessage,
  target: { readonly key: string; readonly query: URLSearchParams },
  staging: UploadStaging,
  meter: BodyMeter,
): Promise<Reply> {
  const upload = target.query.get('upload') ?? '';
  const lengthBytes = parseCount(target.query.get('length'));
  if (!UPLOAD.test(upload) || lengthBytes === undefined) {
    return problemReply(400, {
      code: 'usage',
      message: 'an upload needs ?upload=<1 to 64 letters, digits, ->&length=<bytes>',
    });
  }
  const id = { key: target.key, lengthBytes, upload };
  switch (request.method) {
    case 'PUT':
      return putPart(request, id, parseCount(target.query.get('offset')), { staging, meter });
    case 'POST':
      return complete(id, staging);
    case 'DELETE':
      await staging.abandon(id);
      return emptyReply(204, {});
    default:
      return methodReply('PUT, POST, DELETE');
  }
}

async function putPart(
  request: IncomingMessage,
  id: UploadId,
  offsetBytes: Bytes | undefined,
  { staging, meter }: { readonly staging: UploadStaging; readonly meter: BodyMeter },
): Promise<Reply> {
  const lengthBytes = announcedLength(request);
  if (lengthBytes === undefined) return problemReply(411, { code: 'usage', message: 'a part needs a Content-Length' });
  if (lengthBytes > config.originServer.partBytesMax) return tooLong(config.originServer.partBytesMax);
  if (offsetBytes === undefined || offsetBytes + lengthBytes > id.lengthBytes) {
    return problemReply(400, {
      code: 'usage',
      message: `a part must lie within the ${id.lengthBytes} bytes of its object`,
    });
  }
  const outcome = await staging.writePart(id, { offsetBytes, lengthBytes }, meter.slices(request));
  switch (outcome) {
    case 'staged':
    case 'exists':
      return emptyReply(204, {});
    case 'wrong-length':
      return problemReply(400, { code: 'usage', message: 'the body has another length than its Content-Length' });
    case 'completing':
      return problemReply(409, { code: 'usage', message: 'this upload is being completed' });
    case 'too-many-uploads':
      return problemReply(429, { code: 'origin-unreachable', message: 'too many uploads have begun and not ended' });
    default:
      return unreachable(outcome);
  }
}

async function complete(id: UploadId, staging: UploadStaging): Promise<Reply> {
  const outcome = await staging.complete(id);
  switch (outcome) {
    case 'written':
      return emptyReply(201, {});
    case 'exists':
      return emptyReply(200, {});
    case 'conflict':
      return problemReply(412, {
        code: 'origin-refused',
        message: `an object ${JSON.stringify(id.key)} of another length exists`,
        next: 'publish under another job id: the bytes of a job never change',
      });
    case 'busy':
      return problemReply(503, { code: 'origin-unreachable', message: 'parts of this upload are still coming in' });
    case 'incomplete':
      return problemReply(409, {
        code: 'origin-refused',
        message: 'parts of this upload are missing here',
        next: 'publish again: the staged parts were lost, or swept after a day',
      });
    default:
      return unreachable(outcome);
  }
}

function parseCount(text: string | null): number | undefined {
  return text !== null && COUNT.test(text) ? Number(text) : undefined;
}
