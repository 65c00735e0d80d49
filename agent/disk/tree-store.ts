import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { assert } from '../../core/assert.ts';
import type { ChunkSet } from '../../core/chunk-set.ts';
import { type ChunkSpan, ChunkSpans } from '../../core/chunk-spans.ts';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes, ChunkIndex } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import { SliceBuffers } from '../peers/slice-buffers.ts';
import type { ChunkReceiver, ChunkStore } from './chunk-store.ts';
import { diskError } from './file-error.ts';
import { OpenFiles, readFully, writeFully } from './open-files.ts';
import { locateEntry, type TreeLocation } from './tree-location.ts';
import { TreeReceiver } from './tree-receiver.ts';

export type TreeStoreParts = {
  readonly manifest: Manifest;
  /** What lies verified in the tree already; the store adds to it. */
  readonly have: ChunkSet;
  readonly location: TreeLocation;
  /** Write down that the chunk is verified, before it counts as had. Throws `disk-full` / `disk-failed`. */
  readonly journal: (chunk: ChunkIndex) => Promise<void>;
};

/**
 * The chunks of one job in a tree of pre-sized files, in place: a chunk is written to and read from its files directly.
 * While the tree is partial its files are written; once it is placed the same store goes on serving it, read-only.
 */
export class TreeStore implements ChunkStore {
  readonly have: ChunkSet;
  readonly #manifest: Manifest;
  readonly #spans: ChunkSpans;
  readonly #journal: TreeStoreParts['journal'];
  readonly #receivers = new Map<ChunkIndex, TreeReceiver>();
  readonly #buffers = new SliceBuffers(config.disk.writeBytes, config.disk.writeBuffersMax);
  readonly #files = new OpenFiles({ open: path => this.#open(path), openMax: config.disk.openFilesMax });
  #location: TreeLocation;
  /** While the tree is moved: every file operation waits for it. Never rejects. */
  #moving: Promise<void> | undefined;

  constructor(parts: TreeStoreParts) {
    this.have = parts.have;
    this.#manifest = parts.manifest;
    this.#spans = new ChunkSpans(parts.manifest);
    this.#journal = parts.journal;
    this.#location = parts.location;
  }

  receive(chunk: ChunkIndex): ChunkReceiver {
    const { sha256, lengthBytes } = this.#manifest.chunks[chunk] ?? {};
    assert(sha256 !== undefined && lengthBytes !== undefined, `chunk ${chunk} of ${this.#manifest.chunks.length}`);
    assert(!this.have.has(chunk), `chunk ${chunk} is received again`);
    assert(!this.#receivers.has(chunk), `chunk ${chunk} is being received`);
    assert(this.#location.kind === 'partial', `chunk ${chunk} is received into a tree that is placed`);
    const receiver = new TreeReceiver({
      chunk,
      lengthBytes,
      sha256,
      buffers: this.#buffers,
      writeAt: (offsetBytes, bytes) => this.#write(chunk, offsetBytes, bytes),
      onVerified: async () => {
        await this.#journal(chunk);
        this.have.add(chunk);
      },
      onEnded: () => this.#receivers.delete(chunk),
    });
    this.#receivers.set(chunk, receiver);
    return receiver;
  }

  receiving(chunk: ChunkIndex): ChunkReceiver | undefined {
    return this.#receivers.get(chunk);
  }

  async read(chunk: ChunkIndex, offsetBytes: Bytes, target: Uint8Array): Promise<void> {
    const endBytes = offsetBytes + target.length;
    const readable = this.have.has(chunk) || endBytes <= (this.#receivers.get(chunk)?.availableBytes ?? 0);
    assert(readable, `chunk ${chunk} is read up to ${endBytes} before it is there`);
    for (const span of this.#spans.within(chunk, { offsetBytes, lengthBytes: target.length })) {
      const start = span.chunkOffsetBytes - offsetBytes;
      await this.#readSpan(span, target.subarray(start, start + span.lengthBytes));
    }
  }

  /**
   * Run `move`, which takes the tree to `location`, with no file open and no operation under way; those that come
   * meanwhile wait. An executable that is open for writing could not be run, so handles are opened anew, for reading.
   * Rejects with what `move` rejects with: the tree then counts as where it was.
   */
  async relocate(location: TreeLocation, move: () => Promise<void>): Promise<void> {
    assert(this.#moving === undefined, 'a tree is moved twice at one time');
    assert(this.#receivers.size === 0, 'a tree is moved while chunks are received');
    const moved = this.#moveTo(location, move);
    this.#moving = moved.catch(() => undefined); // Told to whoever moves; who waits goes on where the tree is.
    try {
      await moved;
    } finally {
      this.#moving = undefined;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#receivers.values()].map(receiver => receiver.abort()));
    await this.#moving;
    await this.#files.closeAll();
  }

  async #moveTo(location: TreeLocation, move: () => Promise<void>): Promise<void> {
    await this.#files.closeAll();
    await move();
    this.#location = location;
  }

  async #write(chunk: ChunkIndex, offsetBytes: Bytes, bytes: Uint8Array): Promise<void> {
    for (const span of this.#spans.within(chunk, { offsetBytes, lengthBytes: bytes.length })) {
      const start = span.chunkOffsetBytes - offsetBytes;
      const piece = bytes.subarray(start, start + span.lengthBytes);
      await this.#use(span, 'write', handle => writeFully(handle, piece, span.fileOffsetBytes));
    }
  }

  async #readSpan(span: ChunkSpan, target: Uint8Array): Promise<void> {
    const count = await this.#use(span, 'read', handle => readFully(handle, target, span.fileOffsetBytes));
    if (count === target.length) return;
    throw new StarlingError('disk-failed', `${this.#pathOf(span)} was made shorter while it was served`, {
      next: 'find out what changes the files of the destination, then fetch the job again',
    });
  }

  async #use<T>(span: ChunkSpan, operation: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
    while (this.#moving) await this.#moving;
    const path = this.#pathOf(span);
    try {
      return await this.#files.use(path, use);
    } catch (cause) {
      throw diskError(operation, path, cause);
    }
  }

  #pathOf(span: ChunkSpan): string {
    return locateEntry(this.#manifest.root, this.#location, span.file.path);
  }

  #open(path: string): Promise<FileHandle> {
    const access = this.#location.kind === 'partial' ? constants.O_RDWR : constants.O_RDONLY;
    return open(path, access | constants.O_NOFOLLOW);
  }
}
