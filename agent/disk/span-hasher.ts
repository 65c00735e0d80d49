import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { config } from '../../core/config.ts';
import type { Bytes } from '../../core/ids.ts';
import { errnoOf } from './file-error.ts';

/** A piece of a file on this machine. */
export type FileSpan = { readonly path: string; readonly offsetBytes: Bytes; readonly lengthBytes: Bytes };

/** `short`: the file of the span with that index ends before the span does. `unreadable`: it could not be read. */
export type HashOutcome =
  | { readonly kind: 'hashed'; readonly sha256: string }
  | { readonly kind: 'short'; readonly span: number }
  | { readonly kind: 'unreadable'; readonly span: number; readonly errno: string };

/**
 * SHA-256 of spans of files, back to back. Reads synchronously, through one buffer: meant for a thread of its own, or
 * for little. Keeps the last file open, for the next chunk mostly goes on in it.
 */
export class SpanHasher {
  readonly #buffer = Buffer.allocUnsafeSlow(config.disk.hashReadBytes);
  #open: { readonly path: string; readonly fd: number } | undefined;

  hash(spans: readonly FileSpan[]): HashOutcome {
    const hash = createHash('sha256');
    for (const [index, span] of spans.entries()) {
      try {
        if (!this.#feed(hash, span)) return { kind: 'short', span: index };
      } catch (cause) {
        const errno = errnoOf(cause);
        if (errno === undefined) throw cause;
        return { kind: 'unreadable', span: index, errno };
      }
    }
    return { kind: 'hashed', sha256: hash.digest('hex') };
  }

  close(): void {
    if (this.#open) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  /** False if the file is too short. */
  #feed(hash: ReturnType<typeof createHash>, span: FileSpan): boolean {
    const fd = this.#fdOf(span.path);
    for (let at = 0; at < span.lengthBytes; ) {
      const wanted = Math.min(this.#buffer.length, span.lengthBytes - at);
      const count = readSync(fd, this.#buffer, 0, wanted, span.offsetBytes + at);
      if (count === 0) return false;
      hash.update(count === this.#buffer.length ? this.#buffer : this.#buffer.subarray(0, count));
      at += count;
    }
    return true;
  }

  #fdOf(path: string): number {
    if (this.#open?.path === path) return this.#open.fd;
    this.close();
    // Not through a symlink, and not waiting for the other end of a pipe that stands where a file should.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    this.#open = { path, fd };
    return fd;
  }
}
