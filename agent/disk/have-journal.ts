import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { ChunkSet } from '../../core/chunk-set.ts';
import type { ChunkIndex } from '../../core/ids.ts';
import { diskError, ifExists } from './file-error.ts';

const RECORD_BYTES = 8;
/** Beside the chunk index stands the index xor this: what a torn or foreign record does not have. */
const CHECK = 0x5354_4152;

/**
 * Which chunks were verified, appended as they are: 8 bytes each. It says which chunks are worth re-hashing after a
 * crash, no more: a record may be lost, torn or (after a power loss) ahead of its chunk's bytes.
 */
export class HaveJournal {
  readonly #path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** The chunks it names; a record that is not whole or not plausible is passed over. None if there is no journal. */
  static async read(path: string, chunkCount: number): Promise<ChunkSet> {
    const chunks = new ChunkSet(chunkCount);
    const bytes = (await ifExists(readFile(path))) ?? Buffer.alloc(0);
    for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
      const chunk = bytes.readUInt32LE(at);
      if (chunk < chunkCount && (chunk ^ CHECK) >>> 0 === bytes.readUInt32LE(at + 4)) chunks.add(chunk);
    }
    return chunks;
  }

  /** A journal that names exactly `chunks`, in place of what was there. Throws `disk-full` or `disk-failed`. */
  static async start(path: string, chunks: ChunkSet): Promise<HaveJournal> {
    try {
      const fresh = `${path}.new`;
      const handle = await open(fresh, 'w', 0o600);
      const records = Buffer.alloc(chunks.size * RECORD_BYTES);
      let at = 0;
      for (const chunk of chunks) at = writeRecord(records, at, chunk);
      await handle.appendFile(records);
      await rename(fresh, path);
      return new HaveJournal(path, handle);
    } catch (cause) {
      throw diskError('write', path, cause);
    }
  }

  /** Throws `disk-full` or `disk-failed`. Not synced: a lost record costs one chunk's re-download, after a power loss. */
  async append(chunk: ChunkIndex): Promise<void> {
    const record = Buffer.alloc(RECORD_BYTES);
    writeRecord(record, 0, chunk);
    try {
      await this.#handle.appendFile(record);
    } catch (cause) {
      throw diskError('write', this.#path, cause);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** Returns where the next record stands. */
function writeRecord(bytes: Buffer, at: number, chunk: ChunkIndex): number {
  bytes.writeUInt32LE(chunk, at);
  return bytes.writeUInt32LE((chunk ^ CHECK) >>> 0, at + 4);
}
