import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { appendFile, type FileHandle, open, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import { fileFailure, isMissing } from '../origins/file-failure.ts';
import { type ObjectDirectory, writeFully } from '../origins/object-directory.ts';
import type { ByteRange } from '../origins/origin.ts';

/** One attempt of one client to upload one object. The client draws `upload`: two publishers never share a file. */
export type UploadId = { readonly key: string; readonly lengthBytes: Bytes; readonly upload: string };

export type PartOutcome = 'staged' | 'exists' | 'completing' | 'too-many-uploads' | 'wrong-length';
export type CompleteOutcome = 'written' | 'exists' | 'conflict' | 'busy' | 'incomplete';

const STAGED_SUFFIX = '.upload';
const COMPLETING = -1;

/**
 * Uploads in parts, of any order and several at one time. All state is on disk, in the staging directory: a sparse file
 * of the full length, and beside it a journal of the parts that are in it and synced. So a restarted server knows what
 * it has. A part may come again; it holds the same bytes.
 */
export class UploadStaging {
  readonly #directory: ObjectDirectory;
  /** By staged path: parts being written now, or COMPLETING. At most one entry a connection. */
  readonly #writers = new Map<string, number>();

  constructor(directory: ObjectDirectory) {
    this.#directory = directory;
  }

  /** Write one part as it comes in. `wrong-length`: the body was longer or shorter than `part`. Throws `disk-full`. */
  async writePart(id: UploadId, part: ByteRange, slices: AsyncIterable<Uint8Array>): Promise<PartOutcome> {
    const path = this.#pathOf(id);
    const writers = this.#writers.get(path) ?? 0;
    if (writers === COMPLETING) return 'completing';
    this.#writers.set(path, writers + 1);
    try {
      // A late repeat of a part of a finished upload needs no file any more.
      if ((await this.#directory.lengthOf(id.key)) === id.lengthBytes) return 'exists';
      if (!(await this.#hasRoom(path, id.lengthBytes))) return 'too-many-uploads';
      const isWhole = await this.#writeSlices(path, id.lengthBytes, part, slices);
      if (!isWhole) return 'wrong-length';
      await appendFile(journalOf(path), `\n${part.offsetBytes} ${part.lengthBytes}\n`);
      return 'staged';
    } catch (cause) {
      throw fileFailure(cause, `staging ${id.key}`);
    } finally {
      this.#left(path);
    }
  }

  /** Show the object if all its parts are there. `busy`: a part is still being written. Safe to repeat. */
  async complete(id: UploadId): Promise<CompleteOutcome> {
    const path = this.#pathOf(id);
    if (this.#writers.has(path)) return 'busy';
    this.#writers.set(path, COMPLETING);
    try {
      const there = await this.#directory.lengthOf(id.key);
      if (there !== undefined) return there === id.lengthBytes ? 'exists' : 'conflict';
      if (!covers(await readJournal(path), id.lengthBytes)) return 'incomplete';
      return await this.#show(path, id);
    } catch (cause) {
      throw fileFailure(cause, `completing ${id.key}`);
    } finally {
      this.#writers.delete(path);
    }
  }

  /** The client gave up. Parts still being written keep their (now nameless) file until they end. */
  async abandon(id: UploadId): Promise<void> {
    await removeStaged(this.#pathOf(id));
  }

  async #show(path: string, id: UploadId): Promise<CompleteOutcome> {
    await this.#directory.prepare();
    const handle = await openStaged(path, id.lengthBytes);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    const outcome = await this.#directory.publish(path, id.key);
    await removeStaged(path);
    if (outcome === 'written') return 'written';
    return (await this.#directory.lengthOf(id.key)) === id.lengthBytes ? 'exists' : 'conflict';
  }

  async #writeSlices(
    path: string,
    lengthBytes: Bytes,
    part: ByteRange,
    slices: AsyncIterable<Uint8Array>,
  ): Promise<boolean> {
    const handle = await openStaged(path, lengthBytes);
    try {
      let written = 0;
      for await (const slice of slices) {
        if (written + slice.length > part.lengthBytes) return false;
        await writeFully(handle, slice, part.offsetBytes + written);
        written += slice.length;
      }
      // Before the journal says so: after a power cut it must not promise what the disk lost.
      await handle.datasync();
      return written === part.lengthBytes;
    } finally {
      await handle.close();
    }
  }

  /** Asked once an upload, at its first part: whether it may begin. Throws `disk-full` if its bytes will not fit. */
  async #hasRoom(path: string, lengthBytes: Bytes): Promise<boolean> {
    await this.#directory.prepare();
    if (await isThere(path)) return true;
    const staged = await this.#directory.staged();
    if (staged.filter(name => name.endsWith(STAGED_SUFFIX)).length >= config.originServer.uploadsMax) return false;
    const { bavail, bsize } = await statfs(this.#directory.stagingPath);
    if (bavail * bsize > lengthBytes) return true;
    throw new StarlingError(
      'disk-full',
      `the origin server has ${bavail * bsize} bytes free of ${lengthBytes} needed`,
      {
        next: 'free space on the disk of the origin server',
      },
    );
  }

  #pathOf(id: UploadId): string {
    const name = createHash('sha256').update(`${id.key}\0${id.lengthBytes}\0${id.upload}`).digest('hex');
    return join(this.#directory.stagingPath, name + STAGED_SUFFIX);
  }

  #left(path: string): void {
    const writers = this.#writers.get(path) ?? 0;
    if (writers > 1) this.#writers.set(path, writers - 1);
    else this.#writers.delete(path);
  }
}

/** Whether the ranges, in any order and overlapping or not, leave no byte of `0..lengthBytes` out. */
export function covers(ranges: readonly ByteRange[], lengthBytes: Bytes): boolean {
  let reached = 0;
  for (const { offsetBytes, lengthBytes: length } of ranges.toSorted((a, b) => a.offsetBytes - b.offsetBytes)) {
    if (offsetBytes > reached) break;
    reached = Math.max(reached, offsetBytes + length);
  }
  return reached >= lengthBytes;
}

function journalOf(path: string): string {
  return `${path}.parts`;
}

/** A line that a crash cut short is no part, or a shorter one: its bytes were synced before the line was begun. */
async function readJournal(path: string): Promise<readonly ByteRange[]> {
  const text = await readFile(journalOf(path), 'utf8').catch((cause: unknown) => {
    if (!isMissing(cause)) throw cause;
    return '';
  });
  return [...text.matchAll(/^(\d{1,15}) (\d{1,15})$/gm)].map(([, offset, length]) => ({
    offsetBytes: Number(offset),
    lengthBytes: Number(length),
  }));
}

async function openStaged(path: string, lengthBytes: Bytes): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT);
  try {
    if ((await handle.stat()).size !== lengthBytes) await handle.truncate(lengthBytes);
    return handle;
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (cause: unknown) => {
      if (!isMissing(cause)) throw cause;
      return false;
    },
  );
}

/** The journal first: a file without its journal holds nothing, a journal without its file would lie. */
async function removeStaged(path: string): Promise<void> {
  await rm(journalOf(path), { force: true });
  await rm(path, { force: true });
}
