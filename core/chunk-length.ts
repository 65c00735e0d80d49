import { config } from './config.ts';
import { StarlingError } from './errors.ts';
import type { Bytes } from './ids.ts';

const MiB = 1024 * 1024;

/**
 * The chunk length of a job of `totalBytes` whose publisher chose none: a thousandth of the job, rounded up to whole
 * MiB, within the configured ends. Throws `usage` for a job that would have more than `chunksMax` chunks of the largest
 * such length; core/tree-layout.ts counts the chunks exactly.
 */
export function chunkLengthFor(totalBytes: Bytes): Bytes {
  const { chunksAimed, chunkLengthBytesMin, chunkLengthBytesMax, chunksMax } = config.manifest;
  if (totalBytes > chunkLengthBytesMax * chunksMax) {
    throw new StarlingError(
      'usage',
      `${totalBytes} bytes are more than ${chunksMax} chunks of ${chunkLengthBytesMax}`,
      {
        next: 'publish it as several jobs, or choose larger chunks with --chunk-size',
      },
    );
  }
  const aimed = Math.ceil(totalBytes / chunksAimed / MiB) * MiB;
  return Math.min(Math.max(aimed, chunkLengthBytesMin), chunkLengthBytesMax);
}
