import type { ServerHttp2Stream } from 'node:http2';
import type { UploadRefusal } from '../../core/agent-action.ts';
import { unreachable } from '../../core/assert.ts';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes, ChunkIndex } from '../../core/ids.ts';
import type { ChunkReceiver, ChunkStore } from '../disk/chunk-store.ts';
import type { SliceBuffers } from './slice-buffers.ts';
import { headerNames } from './wire.ts';

export type UploadDeps = {
  readonly store: ChunkStore;
  readonly buffers: SliceBuffers;
  readonly lengthOf: (chunk: ChunkIndex) => Bytes;
  /** The store could not read what it has; the requester sees a short body. */
  readonly onReadFailed: (chunk: ChunkIndex, cause: unknown) => void;
};

/** One chunk request of a peer, from its asking to the close of its stream. */
export class ChunkUpload {
  readonly chunk: ChunkIndex;
  /** Resolves when the stream is closed and nothing reads from the store or the buffers any more. */
  readonly ended: Promise<void>;
  #sentBytes = 0;
  #isServing = false;
  #isClosed = false;
  readonly #stream: ServerHttp2Stream;
  readonly #closed: Promise<void>;
  #sending: Promise<void> = Promise.resolve();

  constructor(stream: ServerHttp2Stream, chunk: ChunkIndex) {
    this.#stream = stream;
    this.chunk = chunk;
    this.#closed = new Promise<void>(resolve => {
      if (stream.destroyed) resolve();
      else stream.once('close', resolve);
    }).then(() => {
      this.#isClosed = true;
    });
    this.ended = this.#closed.then(() => this.#sending);
  }

  get sentBytes(): Bytes {
    return this.#sentBytes;
  }

  get isServing(): boolean {
    return this.#isServing;
  }

  serve(deps: UploadDeps): void {
    this.#isServing = true;
    const isVerified = deps.store.have.has(this.chunk);
    const receiver = isVerified ? undefined : deps.store.receiving(this.chunk);
    if (!isVerified && !receiver) return this.#answer({ ':status': 404 });
    if (!this.#isOpen) return;
    this.#stream.respond({
      ':status': 200,
      'content-length': deps.lengthOf(this.chunk),
      [headerNames.source]: isVerified ? 'verified' : 'arriving',
    });
    this.#sending = this.#send(deps, receiver);
  }

  refuse(refusal: UploadRefusal): void {
    switch (refusal.kind) {
      case 'busy':
        return this.#answer({ ':status': 503, [headerNames.retryAfterMs]: `${Math.ceil(refusal.retryAfterMs)}` });
      case 'gone':
        return this.#answer({ ':status': 404 });
      case 'quarantined':
        return this.#answer({ ':status': 403 });
      default:
        return unreachable(refusal);
    }
  }

  /**
   * Reset by INTERNAL_ERROR. `close(code)` would not do: it first ends the body in good order, and the receiver sees
   * a body that is too short instead of the code.
   */
  stop(): void {
    if (this.#isOpen) this.#stream.destroy(new Error(`chunk ${this.chunk} is not passed on any more`));
  }

  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  #answer(headers: { readonly [name: string]: string | number }): void {
    if (this.#isOpen) this.#stream.respond(headers, { endStream: true });
  }

  /** Reads the next slice while the one before is on its way, and never more: a cancel leaks what was queued. */
  async #send(deps: UploadDeps, receiver: ChunkReceiver | undefined): Promise<void> {
    const lengthBytes = deps.lengthOf(this.chunk);
    let onItsWay: Promise<void> = Promise.resolve();
    for (let offset = 0; offset < lengthBytes && !this.#isClosed; ) {
      const readableBytes = this.#readableBytes(deps, receiver);
      if (readableBytes === undefined) return this.stop();
      if (readableBytes <= offset) {
        await Promise.race([receiver?.waitBeyond(offset), this.#closed]);
        continue;
      }
      const buffer = deps.buffers.take();
      const slice = buffer.subarray(0, Math.min(buffer.length, readableBytes - offset));
      const isRead = await this.#read(deps, offset, slice);
      await onItsWay;
      if (this.#isClosed || !isRead) {
        deps.buffers.giveBack(buffer);
        return this.stop();
      }
      onItsWay = this.#write(slice).finally(() => deps.buffers.giveBack(buffer));
      offset += slice.length;
    }
    await onItsWay;
    if (this.#isOpen) this.#stream.end();
  }

  /**
   * How much of the chunk, from its start, can be read at this moment; `undefined` when its source is gone. Only of
   * `receiver`: a later one would put bytes of another sender behind those already sent.
   */
  #readableBytes(deps: UploadDeps, receiver: ChunkReceiver | undefined): Bytes | undefined {
    if (deps.store.have.has(this.chunk)) return deps.lengthOf(this.chunk);
    return receiver && deps.store.receiving(this.chunk) === receiver ? receiver.availableBytes : undefined;
  }

  async #read(deps: UploadDeps, offset: Bytes, target: Uint8Array): Promise<boolean> {
    try {
      await deps.store.read(this.chunk, offset, target);
      return true;
    } catch (cause) {
      if (!(cause instanceof StarlingError)) throw cause;
      // The disk's failure is not the requester's: it sees a short body, and the log tells the rest.
      deps.onReadFailed(this.chunk, cause);
      return false;
    }
  }

  /**
   * Resolves when the network has taken the slice, or will not: its buffer is free then. Never rejects. A requester that
   * does not read would hold its upload slot for ever: after `uploadStalledMs` it is reset.
   */
  #write(slice: Uint8Array): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.stop(), config.peers.uploadStalledMs);
      this.#stream.write(slice, error => {
        clearTimeout(timer);
        if (!error) this.#sentBytes += slice.length;
        resolve();
      });
    });
  }
}
