import { type FileHandle, open, rm } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import { throwIfAborted } from './attempts.ts';
import { fileFailure } from './file-failure.ts';
import { ObjectDirectory, type StoredObject, sweepBefore, writeFully } from './object-directory.ts';
import type { ByteRange, LargeUpload, Origin } from './origin.ts';
import { planParts, sendParts } from './upload-parts.ts';

/**
 * Objects in a directory that all agents can read: a network file system, or one machine. Costs no server.
 * Writers on one directory at the same time are safe with each other, on whatever machines they are.
 */
export class FileOrigin implements Origin {
  readonly url: string;
  readonly #directory: ObjectDirectory;
  #isSwept = false;

  constructor(path: string) {
    this.#directory = new ObjectDirectory(path);
    this.url = pathToFileURL(this.#directory.path).href;
  }

  async readObject(
    key: string,
    limits: { readonly bytesMax: Bytes; readonly signal?: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    throwIfAborted(limits.signal);
    const object = await this.#directory.open(key);
    if (object === undefined) return undefined;
    return this.#using(object, async ({ handle, lengthBytes }) => {
      if (lengthBytes > limits.bytesMax) throw this.#refusal(`${key} has ${lengthBytes} bytes, more than may be read`);
      const bytes = new Uint8Array(lengthBytes);
      await this.#readInto(key, handle, bytes, 0);
      return bytes;
    });
  }

  async *readRange(key: string, range: ByteRange, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    throwIfAborted(signal);
    const object = await this.#directory.open(key);
    if (object === undefined) throw this.#refusal(`there is no object ${key}`);
    const end = range.offsetBytes + range.lengthBytes;
    try {
      if (end > object.lengthBytes) throw this.#refusal(`${key} has ${object.lengthBytes} bytes, ${end} were expected`);
      for (let at = range.offsetBytes; at < end; ) {
        throwIfAborted(signal);
        const slice = Buffer.allocUnsafeSlow(Math.min(config.originRequest.fileSliceBytes, end - at));
        await this.#readInto(key, object.handle, slice, at);
        at += slice.length;
        yield slice;
      }
    } finally {
      await object.handle.close();
    }
  }

  async writeObjectIfAbsent(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'written' | 'exists'> {
    throwIfAborted(signal);
    if ((await this.#lengthToWrite(key)) !== undefined) return 'exists';
    return this.#staging(async (handle, path) => {
      await writeFully(handle, bytes, 0);
      await handle.sync();
      throwIfAborted(signal);
      return this.#directory.publish(path, key);
    });
  }

  async writeLargeObject(key: string, upload: LargeUpload): Promise<void> {
    throwIfAborted(upload.signal);
    const there = await this.#lengthToWrite(key);
    if (there !== undefined) return this.#checkSame(key, there, upload.lengthBytes);
    await this.#staging(async (handle, path) => {
      await sendParts(planParts(upload), upload, (part, bytes) => writeFully(handle, bytes, part.offsetBytes));
      await handle.sync();
      throwIfAborted(upload.signal);
      // Of two writers of one object the later one finds it there.
      if ((await this.#directory.publish(path, key)) === 'exists') {
        this.#checkSame(key, await this.#directory.lengthOf(key), upload.lengthBytes);
      }
    });
  }

  async hasObject(key: string, lengthBytes: Bytes): Promise<boolean> {
    return (await this.#directory.lengthOf(key)) === lengthBytes;
  }

  async close(): Promise<void> {}

  async #lengthToWrite(key: string): Promise<Bytes | undefined> {
    await this.#directory.prepare();
    if (!this.#isSwept) await this.#directory.sweep(sweepBefore(Date.now()));
    this.#isSwept = true;
    return this.#directory.lengthOf(key);
  }

  #checkSame(key: string, there: Bytes | undefined, lengthBytes: Bytes): void {
    if (there === lengthBytes) return;
    throw this.#refusal(`${key} is there already with ${there} bytes instead of ${lengthBytes}`);
  }

  async #staging<T>(work: (handle: FileHandle, path: string) => Promise<T>): Promise<T> {
    const path = this.#directory.stagedPath();
    try {
      const handle = await open(path, 'wx');
      try {
        return await work(handle, path);
      } finally {
        await handle.close();
      }
    } catch (cause) {
      throw fileFailure(cause, `writing below ${this.#directory.path}`);
    } finally {
      await rm(path, { force: true });
    }
  }

  async #using<T>(object: StoredObject, read: (object: StoredObject) => Promise<T>): Promise<T> {
    try {
      return await read(object);
    } finally {
      await object.handle.close();
    }
  }

  async #readInto(key: string, handle: FileHandle, target: Uint8Array, offsetBytes: Bytes): Promise<void> {
    for (let filled = 0; filled < target.length; ) {
      const { bytesRead } = await handle
        .read(target, filled, target.length - filled, offsetBytes + filled)
        .catch((cause: unknown) => {
          throw fileFailure(cause, `reading ${key} below ${this.#directory.path}`);
        });
      // Objects never change; somebody cut the file behind our back.
      if (bytesRead === 0) throw this.#refusal(`${key} became shorter while it was read`);
      filled += bytesRead;
    }
  }

  #refusal(what: string): StarlingError {
    return new StarlingError('origin-refused', `${what} (${this.url})`, {
      next: 'check that the job was published to this origin, and that nobody changes its files by hand',
    });
  }
}
