import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { StarlingError } from '../../core/errors.ts';
import type { LargeUpload } from './origin.ts';
import { type Part, sendParts } from './upload-parts.ts';

export type S3Place = { readonly Bucket: string; readonly Key: string };

type Sent = { readonly PartNumber: number; readonly ETag: string };

/**
 * One multipart upload, shown under its key at the end and only if no object is there (412 otherwise, 409 while
 * another write runs: errors of the SDK). A failed one is aborted, for S3 charges for its parts until then.
 */
export async function uploadInParts(
  client: S3Client,
  place: S3Place,
  parts: readonly Part[],
  upload: LargeUpload,
): Promise<void> {
  const send = upload.signal === undefined ? {} : { abortSignal: upload.signal };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(place), send);
  if (UploadId === undefined) throw new StarlingError('origin-unreachable', 'S3 began an upload without naming it');
  const id = { ...place, UploadId };
  try {
    const sent: Sent[] = [];
    await sendParts(parts, upload, async (part, bytes, signal) => {
      const command = new UploadPartCommand({
        ...id,
        PartNumber: part.number,
        Body: bytes,
        ContentLength: bytes.length,
      });
      const { ETag } = await client.send(command, { abortSignal: signal });
      if (ETag === undefined) throw new StarlingError('origin-unreachable', `S3 took part ${part.number} without ETag`);
      sent.push({ PartNumber: part.number, ETag });
    });
    const Parts = sent.sort((a, b) => a.PartNumber - b.PartNumber);
    await client.send(
      new CompleteMultipartUploadCommand({ ...id, MultipartUpload: { Parts }, IfNoneMatch: '*' }),
      send,
    );
  } catch (cause) {
    await abort(client, id);
    throw cause;
  }
}

/** Its own failure must not hide why the upload failed; docs/OPERATIONS.md names the lifecycle rule that sweeps. */
async function abort(client: S3Client, id: S3Place & { readonly UploadId: string }): Promise<void> {
  await client.send(new AbortMultipartUploadCommand(id)).catch(() => undefined);
}
