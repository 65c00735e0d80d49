import { constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { DisconnectReason } from '../../core/agent-input.ts';
import { config } from '../../core/config.ts';
import type { Bytes, ChunkIndex, JobId } from '../../core/ids.ts';
import type { PeerHello } from '../../core/peer-message.ts';
import type { BearerToken } from './bearer-token.ts';
import { LineReader } from './line-reader.ts';
import { readHello } from './lines.ts';
import {
  destroySession,
  endSession,
  errorCodeOf,
  reasonOfError,
  reasonOfGoaway,
  sessionClosed,
} from './session-end.ts';
import { headerNames, parseRoute } from './wire.ts';

export type InboundDeps = {
  readonly job: JobId;
  readonly token: BearerToken;
  readonly chunkCount: number;
  /** {@link headerNames.to} of those who mean us. */
  readonly identity: string;
  /** A stranger said hello. `accept`: the link has taken the session over (`InboundSession.accept`). */
  admit(session: InboundSession, hello: PeerHello, purpose: 'makes' | 'moves'): Admission;
};

export type Admission =
  | { readonly kind: 'accept'; readonly events: InboundEvents }
  | { readonly kind: 'refuse'; readonly status: number; readonly because: string };

/** The link that the session belongs to. Nothing but `ended` comes before `InboundSession.start`. */
export type InboundEvents = {
  said(line: string): void;
  asked(stream: ServerHttp2Stream, chunk: ChunkIndex): void;
  /** The peer's lines have ended, for this reason; at most once, never after `end` or `destroy`. */
  ended(session: InboundSession, reason: DisconnectReason): void;
};

/** A session that a peer dialled: its lines and its chunk requests come in on it, chunks go out. */
export class InboundSession {
  readonly #session: ServerHttp2Session;
  readonly #deps: InboundDeps;
  readonly #reader = new LineReader(config.peers.lineBytesMax);
  readonly #helloTimer: NodeJS.Timeout;
  /** What came before `start`; the stream is paused meanwhile, so that this is one slice of lines at most. */
  readonly #heldLines: string[] = [];
  /** The same of requests, bounded by `streamsPerSessionMax`. */
  readonly #heldAsks: (() => void)[] = [];
  #linkStream: ServerHttp2Stream | undefined;
  #link: InboundEvents | undefined;
  #isStarted = false;
  #isOver = false;
  #rejections = 0;

  constructor(session: ServerHttp2Session, deps: InboundDeps) {
    this.#session = session;
    this.#deps = deps;
    session.setLocalWindowSize(config.peers.linkWindowBytes);
    session.on('error', error => this.#ended(reasonOfError(error)));
    session.on('goaway', code => this.#ended(reasonOfGoaway(code)));
    session.on('close', () => this.#ended('broken'));
    session.on('stream', (stream, headers) => this.#streamOpened(stream, headers));
    this.#helloTimer = setTimeout(() => this.destroy(constants.NGHTTP2_NO_ERROR), config.peers.helloTimeoutMs);
    session.once('close', () => clearTimeout(this.#helloTimer));
  }

  /** Grows with every byte that the peer sends on this session. */
  get heardBytes(): Bytes {
    return this.#session.destroyed ? 0 : this.#session.socket.bytesRead;
  }

  /** Hand on what came after the hello, and all that comes from now on. */
  start(): void {
    const link = this.#link;
    if (this.#isStarted || !link) return;
    this.#isStarted = true;
    for (const line of this.#heldLines.splice(0)) if (!this.#isOver) link.said(line);
    for (const ask of this.#heldAsks.splice(0)) if (!this.#isOver) ask();
    this.#linkStream?.resume();
  }

  /** The link has moved to another session; uploads run on until the peer closes this one, which it resolves with. */
  retire(): Promise<void> {
    this.#isOver = true;
    if (this.#linkStream?.writable) this.#linkStream.end();
    return sessionClosed(this.#session);
  }

  /** Say goodbye, and resolve when all is closed. */
  end(): Promise<void> {
    this.#isOver = true;
    if (this.#linkStream?.writable) this.#linkStream.end();
    return endSession(this.#session, config.peers.closeGraceMs);
  }

  destroy(errorCode: number): void {
    this.#isOver = true;
    destroySession(this.#session, errorCode);
  }

  #streamOpened(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // Whoever works with the stream listens to its 'close'; without this listener an error would end the process.
    stream.on('error', () => undefined);
    if (!this.#deps.token.accepts(headers.authorization)) return this.#reject(stream, 401);
    const request = { method: headers[':method'], path: headers[':path'] };
    const route = parseRoute(request, this.#deps.job, this.#deps.chunkCount);
    if (route.kind === 'unknown') return this.#reject(stream, 404);
    if (route.kind === 'link') return this.#linkOpened(stream, headers);
    const link = this.#link;
    if (!link) return this.#reject(stream, 409);
    if (this.#isStarted) link.asked(stream, route.chunk);
    else this.#heldAsks.push(() => link.asked(stream, route.chunk));
  }

  #linkOpened(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    if (this.#linkStream) return this.#reject(stream, 409);
    const to = headers[headerNames.to];
    if (to !== undefined && to !== this.#deps.identity) return this.#reject(stream, 421);
    this.#linkStream = stream;
    const purpose = headers[headerNames.moves] === undefined ? 'makes' : 'moves';
    stream.on('data', (slice: Uint8Array) => this.#read(slice, purpose));
    stream.on('end', () => stream.aborted || this.#ended('closed'));
    // A session that ends closes its streams first; in the same packet it may say why.
    stream.on('close', () => setImmediate(() => this.#session.destroyed || this.#ended('broken')));
  }

  #read(slice: Uint8Array, purpose: 'makes' | 'moves'): void {
    if (this.#isOver) return;
    const lines = this.#reader.push(slice);
    if (lines === 'too-long') return this.#misspoke();
    for (const line of lines) {
      if (this.#isOver) return;
      if (!this.#link) this.#greeted(line, purpose);
      else if (this.#isStarted) this.#link.said(line);
      else this.#heldLines.push(line);
    }
    if (this.#link && !this.#isStarted) this.#linkStream?.pause();
  }

  #greeted(line: string, purpose: 'makes' | 'moves'): void {
    const hello = readHello(line, this.#deps.chunkCount);
    if (!hello) return this.#misspoke();
    const admission = this.#deps.admit(this, hello, purpose);
    if (admission.kind === 'refuse') {
      this.#isOver = true;
      this.#answer(admission.status, { [headerNames.refused]: admission.because });
      return;
    }
    clearTimeout(this.#helloTimer);
    this.#link = admission.events;
    if (this.#linkStream?.writable) this.#linkStream.respond({ ':status': 200 });
  }

  /** A line that cannot be understood: of a stranger it is answered, of a neighbour it ends the link. */
  #misspoke(): void {
    if (this.#link) return this.#ended('protocol');
    this.#isOver = true;
    this.#answer(400, {});
  }

  #answer(status: number, headers: { readonly [name: string]: string }): void {
    if (this.#linkStream?.writable) this.#linkStream.respond({ ':status': status, ...headers }, { endStream: true });
  }

  #reject(stream: ServerHttp2Stream, status: number): void {
    this.#rejections += 1;
    if (this.#rejections > config.peers.rejectionsPerSessionMax) return this.#ended('protocol');
    if (!stream.closed && !stream.destroyed) stream.respond({ ':status': status }, { endStream: true });
  }

  #ended(reason: DisconnectReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#link?.ended(this, reason);
    if (!this.#link) this.destroy(errorCodeOf(reason));
  }
}
