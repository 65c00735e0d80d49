import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { performance } from 'node:perf_hooks';
import type { UploadRefusal } from '../../core/agent-action.ts';
import type { UploadId } from '../../core/agent-input.ts';
import { config } from '../../core/config.ts';
import type { AgentId, BootId, Bytes, ChunkIndex, JobId, Millis } from '../../core/ids.ts';
import type { PeerEntry, PeerHello, PeerMessage } from '../../core/peer-message.ts';
import type { ChunkStore } from '../disk/chunk-store.ts';
import { BearerToken } from './bearer-token.ts';
import type { DownloadRequest } from './chunk-download.ts';
import { ChunkUpload, type UploadDeps } from './chunk-upload.ts';
import { type Admission, type InboundDeps, InboundSession } from './inbound-session.ts';
import { helloLine, messageLines, readMessage } from './lines.ts';
import { Link, type LinkDeps, type LinkEvents } from './link.ts';
import { median } from './path-meter.ts';
import { createPeerServer, listenOn } from './peer-server.ts';
import { SliceBuffers } from './slice-buffers.ts';
import type { DownloadOutcome, PeerEvents, PeerTransport } from './transport.ts';
import { identityOf } from './wire.ts';

const LAGS_KEPT = 5;

export type PeerTransportDeps = {
  readonly job: JobId;
  /** The secret that all agents of the job share. */
  readonly token: string;
  readonly self: { readonly agentId: AgentId; readonly bootId: BootId };
  readonly chunkCount: number;
  readonly lengthOf: (chunk: ChunkIndex) => Bytes;
  readonly chunkStore: ChunkStore;
  /** The store could not read what a peer had asked for; the peer sees a chunk that is not whole and asks elsewhere. */
  readonly onReadFailed: (chunk: ChunkIndex, cause: unknown) => void;
};

/**
 * {@link PeerTransport} over cleartext HTTP/2 (wire.ts has the protocol, config.peers the limits).
 *
 * Events come from the network, never from within a method called here. `onDisconnected` fires once for every link
 * that `connect` ordered or `admit` accepted, unless it was ended by `disconnect` or `close`; `onUploadEnded` once for
 * every `serve`, whatever becomes of the link.
 */
export class Http2PeerTransport implements PeerTransport {
  readonly #deps: PeerTransportDeps;
  readonly #events: PeerEvents;
  readonly #server: Http2Server;
  readonly #linkDeps: LinkDeps;
  readonly #linkEvents: LinkEvents;
  readonly #inboundDeps: InboundDeps;
  readonly #uploadDeps: UploadDeps;
  /** At most what core orders and admits (`graph.neighboursMax`). */
  readonly #links = new Map<AgentId, Link>();
  /** Bounded by `inboundSessionsMax`. */
  readonly #inbound = new Map<ServerHttp2Session, InboundSession>();
  /** Bounded by `streamsPerSessionMax` for each inbound session. */
  readonly #uploads = new Map<UploadId, ChunkUpload>();
  #lastUpload: UploadId = 0;
  #ticker: NodeJS.Timeout | undefined;
  #tickedAt = 0;
  /** How late the last ticks were: one late tick is an accident, most of them late is a busy machine. */
  readonly #lags: Millis[] = [];
  #closing: Promise<void> | undefined;

  constructor(deps: PeerTransportDeps, events: PeerEvents) {
    const { job, chunkCount, chunkStore: store, lengthOf, onReadFailed } = deps;
    const token = new BearerToken(deps.token);
    this.#deps = deps;
    this.#events = events;
    this.#linkDeps = { job, authorization: token.header, hello: () => helloLine(events.hello()) };
    this.#linkEvents = {
      connected: (_link, hello) => events.onConnected(hello),
      said: (link, line) => this.#said(link, line),
      asked: (link, stream, chunk) => this.#asked(link, stream, chunk),
      down: (link, reason) => {
        this.#forget(link);
        if (!this.#closing) events.onDisconnected(link.peer.agentId, reason);
      },
    };
    this.#inboundDeps = {
      job,
      token,
      chunkCount,
      identity: identityOf(deps.self),
      admit: (session, hello, purpose) => this.#admit(session, hello, purpose),
    };
    const buffers = new SliceBuffers(config.peers.uploadSliceBytes, config.peers.uploadBuffersKept);
    this.#uploadDeps = { store, buffers, lengthOf, onReadFailed };
    this.#server = createPeerServer(session => this.#sessionCame(session));
  }

  async listen(address: { readonly host: string; readonly port: number }): Promise<number> {
    const port = await listenOn(this.#server, address);
    this.#startTicking();
    return port;
  }

  connect(peer: PeerEntry): void {
    if (this.#closing) return;
    const present = this.#links.get(peer.agentId);
    if (present?.peer.bootId === peer.bootId) return;
    // Whoever orders a link to another boot knows that this one is over.
    if (present) this.disconnect(peer.agentId);
    if (peer.agentId === this.#deps.self.agentId) {
      queueMicrotask(() => this.#events.onDisconnected(peer.agentId, 'refused'));
      return;
    }
    this.#startTicking();
    this.#newLink(peer).dial();
  }

  disconnect(peer: AgentId): void {
    const link = this.#links.get(peer);
    if (!link) return;
    this.#forget(link);
    void link.close();
  }

  tell(peer: AgentId, message: PeerMessage): void {
    this.#links.get(peer)?.say(messageLines(message));
  }

  tellAll(message: PeerMessage): void {
    const lines = messageLines(message);
    for (const link of this.#links.values()) link.say(lines);
  }

  async download(
    request: DownloadRequest & { readonly peer: AgentId; readonly chunk: ChunkIndex },
  ): Promise<DownloadOutcome> {
    if (request.signal.aborted) return { kind: 'failed', failure: { kind: 'cancelled' }, receivedBytes: 0 };
    const link = this.#links.get(request.peer);
    if (!link) return { kind: 'failed', failure: { kind: 'broken' }, receivedBytes: 0 };
    return link.download(request.chunk, request);
  }

  serve(id: UploadId): void {
    const upload = this.#uploads.get(id);
    // Its peer went away while it waited to be served.
    if (!upload) return queueMicrotask(() => this.#events.onUploadEnded(id, 0, false));
    upload.serve(this.#uploadDeps);
  }

  refuse(id: UploadId, refusal: UploadRefusal): void {
    this.#uploads.get(id)?.refuse(refusal);
  }

  stop(id: UploadId): void {
    this.#uploads.get(id)?.stop();
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#ticker);
    await this.#uploadsEnded();
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map(link => link.close()));
    const uploads = [...this.#uploads.values()].map(upload => upload.ended);
    await Promise.all([...this.#inbound.values()].map(session => session.end()));
    if (this.#server.listening) await new Promise(resolve => this.#server.close(resolve));
    await Promise.all(uploads);
  }

  /** Or not, after `closeGraceMs`. */
  async #uploadsEnded(): Promise<void> {
    const serving = [...this.#uploads.values()].filter(upload => upload.isServing);
    if (serving.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise(resolve => {
      timer = setTimeout(resolve, config.peers.closeGraceMs);
    });
    await Promise.race([grace, Promise.all(serving.map(upload => upload.ended))]);
    clearTimeout(timer);
  }

  #newLink(peer: PeerEntry): Link {
    const link = new Link(peer, this.#linkDeps, this.#linkEvents);
    this.#links.set(peer.agentId, link);
    return link;
  }

  #forget(link: Link): void {
    if (this.#links.get(link.peer.agentId) === link) this.#links.delete(link.peer.agentId);
  }

  #sessionCame(session: ServerHttp2Session): void {
    this.#inbound.set(session, new InboundSession(session, this.#inboundDeps));
    session.once('close', () => this.#inbound.delete(session));
    if (this.#closing) session.destroy();
  }

  #admit(session: InboundSession, hello: PeerHello, purpose: 'makes' | 'moves'): Admission {
    const { from } = hello;
    if (from.agentId === this.#deps.self.agentId) return { kind: 'refuse', status: 421, because: 'self' };
    if (this.#closing) return { kind: 'refuse', status: 503, because: 'full' };
    const present = this.#links.get(from.agentId);
    const isSameRun = present?.peer.bootId === from.bootId;
    if (purpose === 'moves') {
      if (!present?.isConnected || !isSameRun) return { kind: 'refuse', status: 409, because: 'no-link' };
      return { kind: 'accept', events: present.attachNext(session) };
    }
    if (present && isSameRun && !present.hasInbound) return { kind: 'accept', events: present.attach(session, hello) };
    // Another run of the agent, or the same one that has given the link up before we noticed.
    present?.fail(present.isConnected || isSameRun ? 'broken' : 'refused');
    const admitted = this.#events.admit(from);
    if (admitted !== 'accept') return { kind: 'refuse', status: 503, because: admitted };
    // `onDisconnected` and `admit` may have led to a new `connect`; it may even name the right run.
    const ordered = this.#links.get(from.agentId);
    if (ordered && ordered.peer.bootId !== from.bootId) this.disconnect(from.agentId);
    const link = this.#links.get(from.agentId) ?? this.#newLink(from);
    link.dial();
    return { kind: 'accept', events: link.attach(session, hello) };
  }

  #said(link: Link, line: string): void {
    const message = readMessage(line, this.#deps.chunkCount);
    if (message) this.#events.onSaid(link.peer.agentId, message);
    else link.fail('protocol');
  }

  #asked(link: Link, stream: ServerHttp2Stream, chunk: ChunkIndex): void {
    this.#lastUpload += 1;
    const id = this.#lastUpload;
    const upload = new ChunkUpload(stream, chunk);
    this.#uploads.set(id, upload);
    void upload.ended.then(() => {
      this.#uploads.delete(id);
      if (upload.isServing) this.#events.onUploadEnded(id, upload.sentBytes, this.#isComplete(upload));
    });
    this.#events.onUploadAsked(id, link.peer.agentId, chunk);
  }

  #isComplete(upload: ChunkUpload): boolean {
    return upload.sentBytes === this.#deps.lengthOf(upload.chunk);
  }

  #startTicking(): void {
    if (this.#ticker || this.#closing) return;
    this.#tickedAt = performance.now();
    this.#ticker = setInterval(() => this.#tick(), config.peers.pingIntervalMs);
  }

  #tick(): void {
    const now = performance.now();
    const lagMs = Math.max(0, now - this.#tickedAt - config.peers.pingIntervalMs);
    this.#tickedAt = now;
    // A process that was stopped, or a loop that was blocked, has not listened: then silence proves nothing.
    const wasAway = lagMs > config.peers.silentMs / 2;
    this.#lags.push(lagMs);
    if (this.#lags.length > LAGS_KEPT) this.#lags.shift();
    const usualLagMs = median(this.#lags);
    for (const link of [...this.#links.values()]) {
      if (wasAway) link.forgiveSilence(now);
      link.check(now, usualLagMs);
    }
  }
}
