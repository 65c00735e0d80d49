import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, type FileHandle, link, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes, Millis } from '../../core/ids.ts';
import { makeDirectories } from '../disk/make-directories.ts';
import { errorCode, fileFailure, isMissing } from './file-failure.ts';
import { checkObjectKey, RESERVED_PREFIX } from './object-key.ts';

export type StoredObject = { readonly handle: FileHandle; readonly lengthBytes: Bytes };

/**
 * Objects as plain files below one directory: key `a/b` is the file `a/b`. Shared by file:// and the embedded server,
 * so that either reads what the other wrote.
 *
 * A file comes into being under its key by `link()` of a staged file that is complete and synced: of two writers the
 * kernel lets one through, and what a dead writer leaves lies in the staging directory, where no key leads.
 */
export class ObjectDirectory {
  readonly path: string;
  readonly stagingPath: string;

  constructor(path: string) {
    this.path = resolve(path);
    this.stagingPath = join(this.path, `${RESERVED_PREFIX}staging`);
  }

  /** For the object's reader, who closes the handle. `undefined` if there is no object. */
  async open(key: string): Promise<StoredObject | undefined> {
    try {
      const handle = await open(this.#pathOf(key), constants.O_RDONLY);
      return await this.#regular(handle);
    } catch (cause) {
      if (!isMissing(cause)) throw fileFailure(cause, `reading ${key} below ${this.path}`);
      await this.#checkRoot();
      return undefined;
    }
  }

  async lengthOf(key: string): Promise<Bytes | undefined> {
    try {
      const stats = await stat(this.#pathOf(key));
      return stats.isFile() ? stats.size : undefined;
    } catch (cause) {
      if (!isMissing(cause)) throw fileFailure(cause, `looking for ${key} below ${this.path}`);
      await this.#checkRoot();
      return undefined;
    }
  }

  /** Makes the directory, and the one for staging, if they are not there. */
  async prepare(): Promise<void> {
    try {
      await makeDirectories(this.stagingPath);
      await access(this.stagingPath, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (cause) {
      throw fileFailure(cause, `preparing ${this.path} for writing`);
    }
  }

  /** A name in the staging directory that nobody else has. */
  stagedPath(): string {
    return join(this.stagingPath, `${randomUUID()}.bytes`);
  }

  /**
   * Show a staged file, which must be synced, under its key; the staged name is left to the caller. What it says is on
   * disk when the promise resolves.
   */
  async publish(stagedPath: string, key: string): Promise<'written' | 'exists'> {
    const path = this.#pathOf(key);
    try {
      await makeDirectories(dirname(path));
      await link(stagedPath, path);
      await this.#syncDirectories(dirname(path));
      return 'written';
    } catch (cause) {
      if (errorCode(cause) === 'EEXIST' && (await this.lengthOf(key)) !== undefined) return 'exists';
      throw fileFailure(cause, `writing ${key} below ${this.path}`);
    }
  }

  /** Remove staged files that nobody wrote to since `before`. Returns how many. */
  async sweep(before: Millis): Promise<number> {
    let swept = 0;
    for (const name of await this.staged()) {
      const path = join(this.stagingPath, name);
      const stats = await stat(path).catch(ignoreMissing);
      if (stats === undefined || stats.mtimeMs >= before) continue;
      await rm(path, { force: true });
      swept += 1;
    }
    return swept;
  }

  /** Names in the staging directory; none if it is not there. */
  async staged(): Promise<readonly string[]> {
    return (await readdir(this.stagingPath).catch(ignoreMissing)) ?? [];
  }

  #pathOf(key: string): string {
    checkObjectKey(key);
    return join(this.path, key);
  }

  async #regular(handle: FileHandle): Promise<StoredObject | undefined> {
    try {
      const stats = await handle.stat();
      if (stats.isFile()) return { handle, lengthBytes: stats.size };
    } catch (cause) {
      await handle.close();
      throw cause;
    }
    await handle.close();
    return undefined;
  }

  /** A whole origin that is missing (a mount that is not there yet) is not the same as a missing object. */
  async #checkRoot(): Promise<void> {
    const stats = await stat(this.path).catch(ignoreMissing);
    if (stats?.isDirectory()) return;
    throw new StarlingError('origin-unreachable', `the origin's directory ${this.path} does not exist`, {
      next: 'check the path and whether its file system is mounted',
    });
  }

  /** The new name, and the names of the directories made for it, outlive a power cut. */
  async #syncDirectories(deepest: string): Promise<void> {
    for (let path = deepest; path === this.path || path.startsWith(this.path + sep); path = dirname(path)) {
      const handle = await open(path, constants.O_RDONLY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
  }
}

/** FileHandle.write may write less than it was given. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, offsetBytes: Bytes): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, offsetBytes + written);
    written += bytesWritten;
  }
}

/** Before this, a staged file belongs to nobody any more. */
export function sweepBefore(now: Millis): Millis {
  return now - config.originServer.stagingAgeMsMax;
}

function ignoreMissing(cause: unknown): undefined {
  if (!isMissing(cause)) throw cause;
  return undefined;
}
