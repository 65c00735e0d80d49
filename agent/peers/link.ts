import type { ClientHttp2Stream, ServerHttp2Stream } from 'node:http2';
import type { DisconnectReason } from '../../core/agent-input.ts';
import { config } from '../../core/config.ts';
import type { Bytes, ChunkIndex, JobId, Millis } from '../../core/ids.ts';
import type { PeerEntry, PeerHello } from '../../core/peer-message.ts';
import type { DownloadRequest } from './chunk-download.ts';
import type { InboundEvents, InboundSession } from './inbound-session.ts';
import { LineWriter } from './line-writer.ts';
import { OutboundSession } from './outbound-session.ts';
import { errorCodeOf } from './session-end.ts';
import type { DownloadOutcome } from './transport.ts';

export type LinkDeps = {
  readonly job: JobId;
  readonly authorization: string;
  /** The hello as it is at this moment, as a line. */
  hello(): string;
};

export type LinkEvents = {
  connected(link: Link, hello: PeerHello): void;
  said(link: Link, line: string): void;
  asked(link: Link, stream: ServerHttp2Stream, chunk: ChunkIndex): void;
  /** Once, unless `close` was called: the link is down and all of it is freed. */
  down(link: Link, reason: DisconnectReason): void;
};

/**
 * What we share with one run of one neighbour: the session that we dialled and the session that it dialled. It stands
 * when the peer has answered our hello and we have read its own; when either session breaks, both go.
 *
 * A worn-out outbound session is replaced while the link stands: the new one says hello with `moves`, and when the peer
 * has answered, the lines go there and the old body ends. The peer reads the old body to its end before it reads the
 * new one, so that the order of the lines holds.
 */
export class Link {
  readonly peer: PeerEntry;
  readonly #deps: LinkDeps;
  readonly #events: LinkEvents;
  readonly #lines: LineWriter;
  readonly #makingTimer: NodeJS.Timeout;
  /** All of them, also those that have been moved away from and still finish their transfers. */
  readonly #sessions = new Set<OutboundSession | InboundSession>();
  #outbound: OutboundSession | undefined;
  #inbound: InboundSession | undefined;
  #nextOutbound: OutboundSession | undefined;
  #nextInbound: InboundSession | undefined;
  #isAnswered = false;
  #hello: PeerHello | undefined;
  #state: 'making' | 'connected' | 'down' = 'making';
  #heardBytes: Bytes = 0;
  #heardAt: Millis = 0;

  constructor(peer: PeerEntry, deps: LinkDeps, events: LinkEvents) {
    this.peer = peer;
    this.#deps = deps;
    this.#events = events;
    this.#lines = new LineWriter(config.peers.linkQueueBytesMax, () => this.fail('broken'));
    this.#makingTimer = setTimeout(() => this.fail('unreachable'), config.peers.linkTimeoutMs);
  }

  get isConnected(): boolean {
    return this.#state === 'connected';
  }

  get hasInbound(): boolean {
    return this.#inbound !== undefined;
  }

  dial(): void {
    if (this.#outbound || this.#state === 'down') return;
    this.#outbound = this.#dialled('makes', config.peers.streamWindowBytesStart, {
      opened: stream => {
        this.#lines.attach(stream);
        stream.write(this.#deps.hello());
      },
      answered: () => {
        this.#isAnswered = true;
        this.#connectIfWhole();
      },
      failed: reason => this.fail(reason),
    });
  }

  /** The peer's own session, with the hello that it said on it. */
  attach(session: InboundSession, hello: PeerHello): InboundEvents {
    this.#inbound = session;
    this.#hello = hello;
    this.#sessions.add(session);
    // Only after the peer has its answer: `connected` may at once lead to requests on the other session.
    queueMicrotask(() => this.#connectIfWhole());
    return this.#inboundEvents();
  }

  /** The session that takes over from the peer's present one, when that has ended. */
  attachNext(session: InboundSession): InboundEvents {
    this.#nextInbound?.destroy(errorCodeOf('protocol'));
    this.#nextInbound = session;
    this.#sessions.add(session);
    return this.#inboundEvents();
  }

  say(line: string): void {
    if (this.#state !== 'down') this.#lines.say(line);
  }

  async download(chunk: ChunkIndex, request: DownloadRequest): Promise<DownloadOutcome> {
    if (this.#state === 'connected' && this.#outbound) return this.#outbound.download(chunk, request);
    return { kind: 'failed', failure: { kind: 'broken' }, receivedBytes: 0 };
  }

  /**
   * To be called every `pingIntervalMs`: pings, adapts the window, and breaks the link when nothing at all was heard for
   * `silentMs`. Any byte counts: a neighbour that is too busy to answer pings, but still sends, is alive.
   */
  check(now: Millis, loopLagMs: Millis): void {
    if (this.#state !== 'connected') return;
    const heardBytes = (this.#outbound?.heardBytes ?? 0) + (this.#inbound?.heardBytes ?? 0);
    if (heardBytes !== this.#heardBytes) {
      this.#heardBytes = heardBytes;
      this.#heardAt = now;
    }
    if (now - this.#heardAt > config.peers.silentMs) return this.fail('broken');
    this.#outbound?.ping();
    this.#outbound?.adaptWindow(now, loopLagMs);
  }

  /** The silence until now was our own: we did not run. */
  forgiveSilence(now: Millis): void {
    this.#heardAt = now;
  }

  fail(reason: DisconnectReason): void {
    if (this.#state === 'down') return;
    this.#turnDown();
    for (const session of this.#sessions) session.destroy(errorCodeOf(reason));
    this.#events.down(this, reason);
  }

  /** By our own will: no `down` follows. Resolves when nothing of the link is left. */
  async close(): Promise<void> {
    if (this.#state === 'down') return;
    this.#turnDown();
    await Promise.all([...this.#sessions].map(session => session.end()));
  }

  #turnDown(): void {
    this.#state = 'down';
    clearTimeout(this.#makingTimer);
  }

  #connectIfWhole(): void {
    if (this.#state !== 'making' || !this.#isAnswered || !this.#hello) return;
    this.#state = 'connected';
    clearTimeout(this.#makingTimer);
    this.#events.connected(this, this.#hello);
    this.#inbound?.start();
  }

  #dialled(
    purpose: 'makes' | 'moves',
    streamWindowBytes: Bytes,
    events: {
      readonly opened: (stream: ClientHttp2Stream) => void;
      readonly answered: () => void;
      readonly failed: (reason: DisconnectReason) => void;
    },
  ): OutboundSession {
    const { job, authorization } = this.#deps;
    const dialling = { job, authorization, peer: this.peer, purpose, streamWindowBytes };
    const session = new OutboundSession(dialling, { ...events, wornOut: () => this.#replaceOutbound() });
    this.#sessions.add(session);
    return session;
  }

  #replaceOutbound(): void {
    const old = this.#outbound;
    if (this.#state !== 'connected' || this.#nextOutbound || !old) return;
    let linkStream: ClientHttp2Stream | undefined;
    const next = this.#dialled('moves', old.streamWindowBytes, {
      opened: stream => {
        linkStream = stream;
        stream.write(this.#deps.hello());
      },
      answered: () => {
        if (linkStream) this.#lines.attach(linkStream);
        this.#outbound = next;
        this.#nextOutbound = undefined;
        void old.retire().then(() => this.#sessions.delete(old));
      },
      failed: reason => {
        // Before it was answered nothing depends on it; the old one goes on, and wears out again.
        if (this.#outbound === next) return this.fail(reason);
        this.#nextOutbound = undefined;
        this.#sessions.delete(next);
        next.destroy(errorCodeOf(reason));
      },
    });
    this.#nextOutbound = next;
  }

  #inboundEvents(): InboundEvents {
    return {
      said: line => this.#events.said(this, line),
      asked: (stream, chunk) => this.#events.asked(this, stream, chunk),
      ended: (session, reason) => this.#inboundEnded(session, reason),
    };
  }

  #inboundEnded(session: InboundSession, reason: DisconnectReason): void {
    const next = this.#nextInbound;
    if (session === next) {
      this.#nextInbound = undefined;
      this.#sessions.delete(session);
      return session.destroy(errorCodeOf(reason));
    }
    if (session !== this.#inbound) return;
    if (reason !== 'closed' || !next) return this.fail(reason);
    void session.retire().then(() => this.#sessions.delete(session));
    this.#inbound = next;
    this.#nextInbound = undefined;
    next.start();
  }
}
