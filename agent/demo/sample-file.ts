import { createCipheriv } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Bytes } from '../../core/ids.ts';

const SLICE_BYTES = 4 * 1024 * 1024;
// Any fixed key does: the file is to be the same each time, not secret.
const KEY = Buffer.alloc(16, 'starling');
const COUNTER = Buffer.alloc(16);

/**
 * A file as hard to compress as a model's weights, the same for the same size on every machine: the key stream of
 * AES-128 in counter mode, which the processor makes faster than a disk takes it. Holds one slice in memory.
 */
export async function writeSampleFile(path: string, lengthBytes: Bytes, signal: AbortSignal): Promise<void> {
  const cipher = createCipheriv('aes-128-ctr', KEY, COUNTER);
  const zeros = Buffer.alloc(Math.min(SLICE_BYTES, lengthBytes));
  const file = await open(path, 'wx');
  try {
    for (let written = 0; written < lengthBytes; written += SLICE_BYTES) {
      signal.throwIfAborted();
      const slice = cipher.update(zeros.subarray(0, Math.min(SLICE_BYTES, lengthBytes - written)));
      await file.writev([slice]);
    }
  } finally {
    await file.close();
  }
}
