import type { Writable } from 'node:stream';
import type { Bytes } from '../../core/ids.ts';

/** The outgoing lines of one link: what is said within one turn of the event loop goes out as one write. */
export class LineWriter {
  readonly #queueBytesMax: Bytes;
  readonly #onOverflow: () => void;
  #stream: Writable | undefined;
  #said: string[] = [];
  #saidBytes = 0;
  #overflowed = false;

  /** `onOverflow` is called once, not from within `say`: more than `queueBytesMax` wait for the network. */
  constructor(queueBytesMax: Bytes, onOverflow: () => void) {
    this.#onOverflow = onOverflow;
    this.#queueBytesMax = queueBytesMax;
  }

  /** Lines go to this stream from now on; what was said before goes to the stream before. */
  attach(stream: Writable): void {
    this.#flush();
    this.#stream = stream;
  }

  /** `line` ends with its newline. Dropped before the first `attach`: the hello, which opens it, says everything. */
  say(line: string): void {
    if (!this.#stream || this.#overflowed) return;
    if (this.#said.length === 0) queueMicrotask(() => this.#flush());
    this.#said.push(line);
    this.#saidBytes += Buffer.byteLength(line);
    if (this.#saidBytes + this.#stream.writableLength <= this.#queueBytesMax) return;
    this.#overflowed = true;
    this.#said = [];
    queueMicrotask(this.#onOverflow);
  }

  #flush(): void {
    if (this.#said.length === 0) return;
    const text = this.#said.join('');
    this.#said = [];
    this.#saidBytes = 0;
    if (this.#stream?.writable) this.#stream.write(text);
  }
}
