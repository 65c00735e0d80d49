import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { DisconnectReason } from '../../core/agent-input.ts';
import { config } from '../../core/config.ts';
import type { Bytes, ChunkIndex, JobId, Millis } from '../../core/ids.ts';
import type { PeerEntry } from '../../core/peer-message.ts';
import { type DownloadRequest, receiveChunk } from './chunk-download.ts';
import { PathMeter } from './path-meter.ts';
import { destroySession, endSession, reasonOfError, reasonOfGoaway, sessionClosed } from './session-end.ts';
import { nextStreamWindow } from './stream-window.ts';
import type { DownloadOutcome } from './transport.ts';
import { chunkPath, headerNames, identityOf, linkPath, sessionLimits } from './wire.ts';

export type Dialling = {
  readonly job: JobId;
  readonly authorization: string;
  readonly peer: PeerEntry;
  /** `moves`: the session takes an existing link over (the peer must not greet us anew). */
  readonly purpose: 'makes' | 'moves';
  readonly streamWindowBytes: Bytes;
};

export type OutboundEvents = {
  /** The session stands and the link stream is open for lines: the hello must be the first. */
  opened(linkStream: ClientHttp2Stream): void;
  /** The peer took the hello. */
  answered(): void;
  /** At most once, whatever goes wrong and whenever; never after `end` or `destroy`. */
  failed(reason: DisconnectReason): void;
  /** So many streams ended early that the session should be replaced. */
  wornOut(): void;
};

/** One after the other at the start: the first ones measure how fast code that never ran is loaded. */
const FIRST_PINGS = 4;

/** A session that we dialled: our lines and our chunk requests go out on it, chunks come in. */
export class OutboundSession {
  readonly #dialling: Dialling;
  readonly #events: OutboundEvents;
  readonly #session: ClientHttp2Session;
  readonly #meter = new PathMeter();
  readonly #downloads = new Set<ClientHttp2Stream>();
  #linkStream: ClientHttp2Stream | undefined;
  #streamWindowBytes: Bytes;
  #windowChangedAt: Millis = Number.NEGATIVE_INFINITY;
  #isConnected = false;
  #isOver = false;
  #isRetired = false;
  #endedEarly = 0;
  #pingsOut = 0;
  #pingsAnswered = 0;

  constructor(dialling: Dialling, events: OutboundEvents) {
    this.#dialling = dialling;
    this.#events = events;
    this.#streamWindowBytes = dialling.streamWindowBytes;
    const { host, port } = dialling.peer;
    const session = connect('http://peer', {
      ...sessionLimits,
      createConnection: () => connectTcp({ host, port, noDelay: true }),
      peerMaxConcurrentStreams: config.peers.streamsPerSessionMax,
      settings: {
        enablePush: false,
        initialWindowSize: this.#streamWindowBytes,
        maxHeaderListSize: config.peers.headerListBytesMax,
      },
    });
    this.#session = session;
    session.on('error', error => this.#failed(this.#isConnected ? reasonOfError(error) : 'unreachable'));
    session.on('goaway', code => this.#failed(reasonOfGoaway(code)));
    session.on('close', () => this.#failed(this.#isConnected ? 'broken' : 'unreachable'));
    session.on('connect', () => this.#open());
  }

  get streamWindowBytes(): Bytes {
    return this.#streamWindowBytes;
  }

  /** Grows with every byte that the peer sends on this session. */
  get heardBytes(): Bytes {
    return this.#session.destroyed ? 0 : this.#session.socket.bytesRead;
  }

  async download(chunk: ChunkIndex, request: DownloadRequest): Promise<DownloadOutcome> {
    const stream = this.#request({ ':method': 'GET', ':path': chunkPath(this.#dialling.job, chunk) });
    if (!stream) return { kind: 'failed', failure: { kind: 'broken' }, receivedBytes: 0 };
    this.#downloads.add(stream);
    this.#meter.downloadStarted(performance.now());
    stream.on('data', (slice: Uint8Array) => this.#meter.received(slice.length));
    const outcome = await receiveChunk(stream, request);
    this.#meter.downloadEnded(performance.now());
    this.#downloads.delete(stream);
    if (this.#isRetired) this.#endWhenIdle();
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.#countEarlyEnd(stream);
    return outcome;
  }

  /** Ask for a sign of life; unless some are still owed. The answer also measures the round trip. */
  ping(): void {
    if (!this.#isConnected || this.#isOver || this.#pingsOut >= sessionLimits.maxOutstandingPings - 1) return;
    this.#pingsOut += 1;
    this.#session.ping((error: Error | null, durationMs: number) => {
      this.#pingsOut -= 1;
      // An error means that the session went away first, which is told by its own event.
      if (error) return;
      this.#meter.pinged(durationMs);
      this.#pingsAnswered += 1;
      if (this.#pingsAnswered < FIRST_PINGS) this.ping();
    });
  }

  /** To be called once an interval: gives the peer another stream window if the path asks for it. */
  adaptWindow(now: Millis, loopLagMs: Millis): void {
    const path = this.#isConnected && !this.#isOver ? this.#meter.evidence(now, loopLagMs) : undefined;
    if (!path) return;
    const windowBytes = nextStreamWindow(this.#streamWindowBytes, path);
    const isHeld = now - this.#windowChangedAt < config.peers.streamWindowHoldMs;
    if (windowBytes === this.#streamWindowBytes || isHeld || this.#session.pendingSettingsAck) return;
    this.#streamWindowBytes = windowBytes;
    this.#windowChangedAt = now;
    this.#session.settings({ initialWindowSize: windowBytes });
  }

  /** The link has moved to another session: finish the downloads, then close, which it resolves with. */
  retire(): Promise<void> {
    this.#isRetired = true;
    this.#isOver = true;
    const stream = this.#linkStream;
    stream?.once('close', () => this.#endWhenIdle());
    stream?.end();
    return sessionClosed(this.#session);
  }

  /** Cancel the downloads, say goodbye, and resolve when all is closed. */
  end(): Promise<void> {
    this.#isOver = true;
    for (const stream of this.#downloads) stream.close(constants.NGHTTP2_CANCEL);
    this.#linkStream?.end();
    return endSession(this.#session, config.peers.closeGraceMs);
  }

  destroy(errorCode: number): void {
    this.#isOver = true;
    destroySession(this.#session, errorCode);
  }

  #open(): void {
    this.#isConnected = true;
    if (this.#isOver) return;
    // Only from here on: before the session stands the connection window silently stays at 65,535.
    this.#session.setLocalWindowSize(config.peers.sessionWindowBytes);
    const stream = this.#request({
      ':method': 'POST',
      ':path': linkPath(this.#dialling.job),
      [headerNames.to]: identityOf(this.#dialling.peer),
      ...(this.#dialling.purpose === 'moves' ? { [headerNames.moves]: 'link' } : {}),
    });
    if (!stream) return this.#failed('broken');
    this.#linkStream = stream;
    // The 'close' that follows says all that matters.
    stream.on('error', () => undefined);
    stream.on('response', headers => this.#answered(headers[':status'] ?? 0));
    // The peer has nothing to say here; it must not fill our window with it either.
    stream.on('data', () => this.#failed('protocol'));
    // A session that ends closes its streams first; in the same packet it may say why.
    stream.on('close', () => setImmediate(() => this.#session.destroyed || this.#failed('broken')));
    this.#events.opened(stream);
    this.ping();
  }

  #answered(status: number): void {
    if (this.#isOver) return;
    if (status === 200) this.#events.answered();
    else this.#failed(status === 400 ? 'protocol' : 'refused');
  }

  #request(headers: { readonly [name: string]: string }): ClientHttp2Stream | undefined {
    const withToken = { ...headers, authorization: this.#dialling.authorization };
    try {
      return this.#session.request(withToken, { endStream: headers[':method'] === 'GET' });
    } catch (error) {
      // The session is closing or gone (ERR_HTTP2_GOAWAY_SESSION, ERR_HTTP2_INVALID_SESSION); its event tells the link.
      if (this.#session.closed || this.#session.destroyed) return undefined;
      throw error;
    }
  }

  #countEarlyEnd(stream: ClientHttp2Stream): void {
    this.#endedEarly += 1;
    const isRefused = stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM;
    if (this.#isOver || (this.#endedEarly < config.peers.cancelsPerSessionMax && !isRefused)) return;
    this.#endedEarly = 0;
    this.#events.wornOut();
  }

  #endWhenIdle(): void {
    if (this.#downloads.size === 0 && this.#linkStream?.destroyed !== false) void this.end();
  }

  #failed(reason: DisconnectReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.failed(reason);
  }
}
