import {
  type ClientHttp2Stream,
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import type { ChunkFailure } from '../../core/agent-input.ts';
import { config } from '../../core/config.ts';
import type { Bytes } from '../../core/ids.ts';
import type { DownloadOutcome } from './transport.ts';
import { headerNames } from './wire.ts';

export type DownloadRequest = {
  readonly lengthBytes: Bytes;
  readonly sink: (slice: Uint8Array) => Promise<void>;
  readonly signal: AbortSignal;
  readonly onHead: (head: { readonly passedOn: boolean }) => void;
};

/**
 * Reads the answer to one chunk request to its end. Never rejects; resolves when the stream is closed and no `sink`
 * runs. What came is judged by its length alone, and only then: a session that dies in the middle of a body ends it
 * without an error (field/prototype.md, pitfall 5).
 */
export function receiveChunk(stream: ClientHttp2Stream, request: DownloadRequest): Promise<DownloadOutcome> {
  return new Promise(resolve => new ChunkDownload(stream, request, resolve));
}

class ChunkDownload {
  readonly #stream: ClientHttp2Stream;
  /** A closed stream has forgotten its session. */
  readonly #session: Http2Session | undefined;
  readonly #request: DownloadRequest;
  readonly #resolve: (outcome: DownloadOutcome) => void;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #receivedBytes = 0;
  #passedOn = false;
  #isDraining = false;
  #isClosed = false;
  /** Decided before the end of the body: nothing more goes to the sink. */
  #verdict: DownloadOutcome | undefined;
  readonly #onAbort = () => this.#giveUp({ kind: 'cancelled' });

  constructor(stream: ClientHttp2Stream, request: DownloadRequest, resolve: (outcome: DownloadOutcome) => void) {
    this.#stream = stream;
    this.#session = stream.session;
    this.#request = request;
    this.#resolve = resolve;
    // Says nothing that 'close' and the count of bytes do not say; without a listener it would end the process.
    stream.on('error', () => undefined);
    stream.on('response', headers => this.#answered(headers));
    stream.on('data', (slice: Uint8Array) => this.#received(slice));
    stream.on('close', () => {
      this.#isClosed = true;
      this.#settle();
    });
    request.signal.addEventListener('abort', this.#onAbort);
    if (request.signal.aborted) this.#onAbort();
  }

  #answered(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
    if (this.#verdict) return;
    const status = headers[':status'] ?? 0;
    if (status !== 200) {
      this.#verdict = this.#failed(failureOf(status, headers));
      return;
    }
    this.#passedOn = headers[headerNames.source] === 'arriving';
    const length = headers['content-length'];
    if (length !== undefined && length !== `${this.#request.lengthBytes}`) this.#giveUp({ kind: 'wrong-length' });
    else this.#request.onHead({ passedOn: this.#passedOn });
  }

  #received(slice: Uint8Array): void {
    this.#receivedBytes += slice.length;
    if (this.#verdict) {
      // An honest refusal has no body; a cancelled stream may still have some on its way.
      if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL);
      return;
    }
    if (this.#receivedBytes > this.#request.lengthBytes) return this.#giveUp({ kind: 'wrong-length' });
    this.#queue.push(slice);
    this.#queuedBytes += slice.length;
    if (this.#queuedBytes >= config.peers.sinkQueueBytesMax) this.#stream.pause();
    if (!this.#isDraining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    for (let slice = this.#queue.shift(); slice && !this.#verdict; slice = this.#queue.shift()) {
      try {
        await this.#request.sink(slice);
      } catch (cause) {
        this.#end({ kind: 'sink-failed', cause, receivedBytes: this.#receivedBytes });
      }
      this.#queuedBytes -= slice.length;
      if (this.#queuedBytes === 0 && this.#stream.isPaused()) this.#stream.resume();
    }
    this.#isDraining = false;
    this.#settle();
  }

  #giveUp(failure: ChunkFailure): void {
    this.#end(this.#failed(failure));
  }

  #end(verdict: DownloadOutcome): void {
    if (this.#verdict) return;
    this.#verdict = verdict;
    this.#stream.close(constants.NGHTTP2_CANCEL);
    // A paused stream would wait with its 'close' for a reader.
    this.#stream.resume();
  }

  #settle(): void {
    if (!this.#isClosed || this.#isDraining) return;
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    this.#resolve(this.#verdict ?? this.#judged());
  }

  #judged(): DownloadOutcome {
    if (this.#receivedBytes === this.#request.lengthBytes) return { kind: 'received', passedOn: this.#passedOn };
    if (!this.#session || this.#session.destroyed) return this.#failed({ kind: 'broken' });
    switch (this.#stream.rstCode) {
      case constants.NGHTTP2_INTERNAL_ERROR:
        return this.#failed({ kind: 'gone' });
      case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      case constants.NGHTTP2_REFUSED_STREAM:
        return this.#failed({ kind: 'busy', retryAfterMs: undefined });
      case constants.NGHTTP2_NO_ERROR:
      case constants.NGHTTP2_PROTOCOL_ERROR:
        // The body ended before its time: nghttp2 says PROTOCOL_ERROR where a content-length promised more.
        return this.#failed({ kind: 'wrong-length' });
      default:
        return this.#failed({ kind: 'broken' });
    }
  }

  #failed(failure: ChunkFailure): DownloadOutcome {
    return { kind: 'failed', failure, receivedBytes: this.#receivedBytes };
  }
}

function failureOf(status: number, headers: IncomingHttpHeaders): ChunkFailure {
  switch (status) {
    case 503:
      return { kind: 'busy', retryAfterMs: retryAfterMs(headers[headerNames.retryAfterMs]) };
    case 404:
    case 410:
      return { kind: 'gone' };
    case 403:
      return { kind: 'refused', why: 'quarantined by the peer' };
    default:
      return status >= 400 && status < 500 ? { kind: 'refused', why: `status ${status}` } : { kind: 'broken' };
  }
}

function retryAfterMs(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^[0-9]{1,7}$/.test(header) ? Number(header) : undefined;
}
