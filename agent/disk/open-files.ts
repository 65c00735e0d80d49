import type { FileHandle } from 'node:fs/promises';
import { assert } from '../../core/assert.ts';
import type { Bytes } from '../../core/ids.ts';

type Slot = { readonly handle: Promise<FileHandle>; users: number };

/**
 * File handles that stay open between uses, for opening costs more than a small read. Beyond `openMax` the one used
 * longest ago is closed; handles in use are never closed, so that there may be as many as there are operations at once.
 */
export class OpenFiles {
  readonly #open: (path: string) => Promise<FileHandle>;
  readonly #openMax: number;
  /** By path; a Map keeps the order of insertion, and every use inserts anew: the first is the one used longest ago. */
  readonly #slots = new Map<string, Slot>();
  readonly #closing = new Set<Promise<void>>();
  #idle: (() => void) | undefined;

  constructor(settings: { readonly open: (path: string) => Promise<FileHandle>; readonly openMax: number }) {
    this.#open = settings.open;
    this.#openMax = settings.openMax;
  }

  /** Rejects with what opening, or `operation`, rejects with. */
  async use<T>(path: string, operation: (handle: FileHandle) => Promise<T>): Promise<T> {
    const slot = this.#slots.get(path) ?? { handle: this.#open(path), users: 0 };
    this.#slots.delete(path);
    this.#slots.set(path, slot);
    slot.users += 1;
    try {
      const handle = await this.#opened(path, slot);
      return await operation(handle);
    } finally {
      slot.users -= 1;
      this.#trim();
      if (slot.users === 0) this.#idle?.();
    }
  }

  /** Close all, after the uses under way. The caller sees to it that none begins meanwhile. */
  async closeAll(): Promise<void> {
    assert(this.#idle === undefined, 'open files are closed twice at one time');
    while ([...this.#slots.values()].some(slot => slot.users > 0)) {
      await new Promise<void>(resolve => {
        this.#idle = resolve;
      });
      this.#idle = undefined;
    }
    for (const [path, slot] of this.#slots) this.#close(path, slot);
    await Promise.all(this.#closing);
  }

  /** A file that could not be opened is tried again by the next use. */
  async #opened(path: string, slot: Slot): Promise<FileHandle> {
    try {
      return await slot.handle;
    } catch (cause) {
      if (this.#slots.get(path) === slot) this.#slots.delete(path);
      throw cause;
    }
  }

  #trim(): void {
    for (const [path, slot] of this.#slots) {
      if (this.#slots.size <= this.#openMax) return;
      if (slot.users === 0) this.#close(path, slot);
    }
  }

  #close(path: string, slot: Slot): void {
    this.#slots.delete(path);
    // What a file could not be opened or closed for changes nothing here: its bytes are synced before they count.
    const closed = slot.handle
      .then(handle => handle.close())
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}

/** Fill `target` from `position` on; returns fewer bytes than `target` has only where the file ends. */
export async function readFully(handle: FileHandle, target: Uint8Array, position: Bytes): Promise<Bytes> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

export async function writeFully(handle: FileHandle, source: Uint8Array, position: Bytes): Promise<void> {
  for (let done = 0; done < source.length; ) {
    const { bytesWritten } = await handle.write(source, done, source.length - done, position + done);
    done += bytesWritten;
  }
}
