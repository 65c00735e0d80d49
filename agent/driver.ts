import { performance } from 'node:perf_hooks';
import type { AgentAction, AnnounceContent, JobFailure } from '../core/agent-action.ts';
import type { AgentInput, ChunkSource, DisconnectReason, UploadId } from '../core/agent-input.ts';
import type { AgentState } from '../core/agent-state.ts';
import { unreachable } from '../core/assert.ts';
import { config } from '../core/config.ts';
import { StarlingError } from '../core/errors.ts';
import type { AgentId, Bytes, ChunkIndex, Millis } from '../core/ids.ts';
import type { PeerEntry, PeerHello, PeerMessage } from '../core/peer-message.ts';
import type { Announce } from '../core/tracker-message.ts';
import { type ReceiveOutcome, transferChunk } from './chunk-transfer.ts';
import type { ChunkStore } from './disk/chunk-store.ts';
import type { EventLog } from './event-log.ts';
import type { OriginChunks } from './origin-chunks.ts';
import type { PeerEvents, PeerTransport } from './peers/transport.ts';
import type { TrackerClient } from './tracker-client.ts';
import { TransferCounters } from './transfer-counters.ts';

export type DriverParts = {
  readonly state: AgentState;
  readonly store: ChunkStore;
  readonly originChunks: OriginChunks;
  readonly tracker: TrackerClient | undefined;
  /** `undefined` where nobody can be met: no tracker. */
  readonly transport: ((events: PeerEvents) => PeerTransport) | undefined;
  readonly log: EventLog;
  /** Who and where this agent is; asked for at every announce and hello. */
  readonly self: () => PeerEntry;
  readonly announceBase: Pick<Announce, 'job' | 'manifestDigest' | 'chunkLengthBytes' | 'linkBytesPerSecond'>;
};

/**
 * Carries out what core decides: the real world's half of the agent, as sim/virtual-agent.ts is the simulated one.
 * It holds no policy. One timer, one switch; every ending of every request is fed back as an input.
 */
export class Driver implements PeerEvents {
  readonly counters = new TransferCounters();
  readonly transport: PeerTransport | undefined;
  /** Resolves when every chunk is verified on disk; rejects when the job cannot go on. */
  readonly completed: Promise<void>;
  /** Never resolves; rejects when the run cannot go on, also after it was complete. */
  readonly failed: Promise<never>;
  readonly #parts: DriverParts;
  readonly #transfers = new Map<ChunkIndex, AbortController>();
  readonly #running = new Set<Promise<void>>();
  /** Inputs that came while an action was being carried out; as many as one action can cause. */
  readonly #inbox: AgentInput[] = [];
  readonly #announces = new AbortController();
  #isFeeding = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #goodbye: PromiseWithResolvers<void> | undefined;
  #complete: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(parts: DriverParts) {
    this.#parts = parts;
    this.transport = parts.transport?.(this);
    const complete = Promise.withResolvers<void>();
    const fail = Promise.withResolvers<never>();
    this.#complete = complete.resolve;
    this.#fail = fail.reject;
    this.failed = fail.promise;
    this.completed = Promise.race([complete.promise, this.failed]);
    // Whoever awaits them hears of it; a run that is stopped first must not end the process.
    this.failed.catch(() => undefined);
    this.completed.catch(() => undefined);
  }

  start(): void {
    this.feed({ kind: 'woke' });
  }

  feed(input: AgentInput): void {
    if (this.#isStopped) return;
    this.#inbox.push(input);
    if (this.#isFeeding) return;
    this.#isFeeding = true;
    try {
      for (let next = this.#inbox.shift(); next; next = this.#inbox.shift()) {
        for (const action of this.#parts.state.handle(next, now())) this.#obey(action);
      }
    } catch (error) {
      this.#stopFor(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isFeeding = false;
    }
    this.#setTimer();
  }

  /** Nobody we know still lacks a chunk. */
  get isQuiet(): boolean {
    return this.#parts.state.fetchingNeighbourCount === 0;
  }

  /** Tell the tracker that we go; waits for its answer, but not for long. */
  async sayGoodbye(): Promise<void> {
    if (!this.#parts.tracker) return;
    if (this.#isStopped) return this.#sayThatWeFailed(this.#parts.tracker);
    this.#goodbye = Promise.withResolvers<void>();
    const timer = setTimeout(this.#goodbye.resolve, config.linger.goodbyeMs);
    this.feed({ kind: 'leave' });
    await this.#goodbye.promise;
    clearTimeout(timer);
  }

  /** Break everything off and wait until nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#announces.abort();
    for (const transfer of this.#transfers.values()) transfer.abort();
    await this.transport?.close();
    await Promise.allSettled(this.#running);
    await this.#parts.tracker?.close();
  }

  hello(): PeerHello {
    return { kind: 'hello', from: this.#parts.self(), ...this.#parts.state.holdings() };
  }

  admit(peer: PeerEntry): 'accept' | 'full' | 'quarantined' {
    return this.#parts.state.admits(peer.agentId, now());
  }

  onConnected(hello: PeerHello): void {
    this.#parts.log.debug('peer connected', { peer: hello.from.agentId, have: hello.have.size });
    this.feed({ kind: 'peer-connected', hello });
  }

  onDisconnected(peer: AgentId, reason: DisconnectReason): void {
    this.#parts.log.debug('peer disconnected', { peer, reason });
    this.feed({ kind: 'peer-disconnected', peer, reason });
  }

  onSaid(peer: AgentId, message: PeerMessage): void {
    this.feed({ kind: 'peer-said', peer, message });
  }

  onUploadAsked(upload: UploadId, peer: AgentId, chunk: ChunkIndex): void {
    this.feed({ kind: 'upload-asked', upload, peer, chunk });
  }

  onUploadEnded(upload: UploadId, sentBytes: Bytes, complete: boolean): void {
    this.counters.bytesUploaded += sentBytes;
    this.feed({ kind: 'upload-ended', upload, sentBytes, complete });
  }

  #obey(action: AgentAction): void {
    const transport = this.transport;
    switch (action.kind) {
      case 'announce':
        return this.#run(this.#announce(action.announce));
      case 'connect':
        return transport?.connect(action.peer);
      case 'disconnect':
        return transport?.disconnect(action.peer);
      case 'tell':
        return transport?.tell(action.peer, action.message);
      case 'tell-all':
        return transport?.tellAll(action.message);
      case 'request-chunk':
        return this.#download(action.peer, action.chunk);
      case 'pull-from-origin':
        return this.#pull(action.chunk);
      case 'cancel-transfer':
        this.#parts.log.debug('transfer cancelled', { chunk: action.chunk, source: action.source, why: action.why });
        return this.#transfers.get(action.chunk)?.abort();
      case 'serve-chunk':
        return transport?.serve(action.upload, action.chunk);
      case 'refuse-upload':
        return transport?.refuse(action.upload, action.refusal);
      case 'stop-upload':
        return transport?.stop(action.upload);
      case 'note-quarantine':
        return this.#parts.log.warn('peer quarantined', {
          peer: action.peer,
          reason: action.reason,
          forMs: action.forMs,
        });
      case 'complete':
        return this.#complete();
      case 'fail':
        return this.#stopFor(errorOf(action.failure));
      default:
        return unreachable(action);
    }
  }

  #download(peer: AgentId, chunk: ChunkIndex): void {
    const transport = this.transport;
    if (!transport) return;
    const lengthBytes = this.#parts.originChunks.lengthOf(chunk);
    this.#transfer(chunk, { kind: 'peer', peer }, (sink, signal, onHead) =>
      transport.download({ peer, chunk, lengthBytes, sink, signal, onHead }).then(outcome => {
        if (outcome.kind === 'sink-failed') throw outcome.cause;
        return outcome;
      }),
    );
  }

  #pull(chunk: ChunkIndex): void {
    this.#transfer(chunk, { kind: 'origin' }, (sink, signal) => this.#parts.originChunks.receive(chunk, sink, signal));
  }

  #transfer(
    chunk: ChunkIndex,
    source: ChunkSource,
    receive: (
      sink: (slice: Uint8Array) => Promise<void>,
      signal: AbortSignal,
      onHead: (head: { readonly passedOn: boolean }) => void,
    ) => Promise<ReceiveOutcome>,
  ): void {
    const controller = new AbortController();
    this.#transfers.set(chunk, controller);
    let passedOn = false;
    let toldAt: Millis | undefined;
    const onSlice = (bytes: Bytes): void => {
      const at = now();
      this.counters.received(bytes, at);
      if (toldAt !== undefined && at - toldAt < config.exchange.progressIntervalMs) return;
      toldAt = at;
      this.feed({ kind: 'chunk-progressed', chunk, source, passedOn });
    };
    const request = {
      chunk,
      source,
      store: this.#parts.store,
      signal: controller.signal,
      onSlice,
      receive: (sink: (slice: Uint8Array) => Promise<void>) =>
        receive(sink, controller.signal, head => {
          passedOn = head.passedOn;
        }),
    };
    this.#run(
      transferChunk(request).then(outcome => {
        this.#transfers.delete(chunk);
        this.#transferEnded(chunk, source, outcome);
      }),
    );
  }

  #transferEnded(chunk: ChunkIndex, source: ChunkSource, outcome: Awaited<ReturnType<typeof transferChunk>>): void {
    switch (outcome.kind) {
      case 'verified': {
        const lengthBytes = this.#parts.originChunks.lengthOf(chunk);
        this.counters.kept(source, lengthBytes);
        return this.feed({ kind: 'chunk-verified', chunk, source, lengthBytes });
      }
      case 'failed':
        this.counters.duplicateBytes += outcome.receivedBytes;
        this.#parts.log.debug('transfer failed', { chunk, source, failure: outcome.failure });
        return this.feed({ kind: 'chunk-failed', chunk, source, failure: outcome.failure });
      case 'disk-failed':
        return this.#stopFor(diskError(outcome.cause, chunk));
      default:
        return unreachable(outcome);
    }
  }

  async #announce(content: AnnounceContent): Promise<void> {
    const { tracker } = this.#parts;
    if (!tracker) return;
    const { agentId, bootId, host, port, zone } = this.#parts.self();
    const announce: Announce = {
      ...this.#parts.announceBase,
      ...content,
      agentId,
      bootId,
      host,
      port,
      zone,
      progress: this.#progress(),
    };
    const outcome = await tracker.announce(announce, this.#announces.signal);
    if (content.state === 'left') this.#goodbye?.resolve();
    switch (outcome.kind) {
      case 'answered':
        return this.feed({ kind: 'tracker-answered', answer: outcome.answer });
      case 'failed':
        this.#parts.log.warn('tracker did not answer', { why: outcome.why });
        return this.feed({ kind: 'tracker-failed', retryAfterMs: outcome.retryAfterMs });
      case 'refused':
        return this.#stopFor(
          new StarlingError('tracker-refused', `the tracker refuses this agent: ${outcome.why}`, {
            next: outcome.next ?? 'check --job, --tracker and --token',
          }),
        );
      default:
        return unreachable(outcome);
    }
  }

  /** Core has ended; its leases need not wait until somebody reports us lost. */
  async #sayThatWeFailed(tracker: TrackerClient): Promise<void> {
    const announce: Announce = {
      ...this.#parts.announceBase,
      ...this.#parts.self(),
      state: 'left',
      have: this.#parts.state.have,
      pulling: [],
      returned: [],
      leasesWanted: 0,
      starving: [],
      lost: [],
      peersWanted: 0,
      neighbourCount: 0,
      progress: this.#progress(),
    };
    // Whatever it answers: there is nothing more to do about it.
    await tracker.announce(announce, AbortSignal.timeout(config.linger.goodbyeMs));
  }

  #progress(): Announce['progress'] {
    const at = now();
    const { bytesFromOrigin, bytesFromPeers, bytesUploaded, duplicateBytes } = this.counters;
    return {
      bytesFromOrigin,
      bytesFromPeers,
      bytesUploaded,
      duplicateBytes,
      rateBytesPerSecond: this.counters.rateBytesPerSecond(at),
      quarantined: this.#parts.state
        .quarantined(at)
        .map(({ peer, reason, until }) => ({ agentId: peer, reason, forMs: Math.max(0, until - at) })),
    };
  }

  #run(work: Promise<void>): void {
    const settled = work
      .catch((error: unknown) => this.#stopFor(error instanceof Error ? error : new Error(String(error))))
      .finally(() => this.#running.delete(settled));
    this.#running.add(settled);
  }

  #stopFor(error: Error): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#fail(error);
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    const deadline = this.#parts.state.nextDeadline();
    if (deadline === undefined) return;
    this.#timer = setTimeout(() => this.feed({ kind: 'woke' }), Math.max(0, deadline - now()));
  }
}

/** Whole milliseconds on a clock that never goes back. */
export function now(): Millis {
  return Math.floor(performance.now());
}

function errorOf(failure: JobFailure): StarlingError {
  switch (failure.kind) {
    case 'origin-corrupt':
      return new StarlingError(
        'origin-corrupt',
        `chunk ${failure.chunk}: the bytes in the origin do not match the manifest`,
        {
          next: 'publish the content again under a new job id; the object was changed or damaged after it was published',
        },
      );
    case 'origin-refused':
      return new StarlingError('origin-refused', `chunk ${failure.chunk}: ${failure.why}, and no peer has it`, {
        next: 'check that this machine may read the origin, and that the job was not deleted',
      });
    default:
      return unreachable(failure);
  }
}

function diskError(cause: unknown, chunk: ChunkIndex): StarlingError {
  if (cause instanceof StarlingError) return cause;
  return new StarlingError('disk-failed', `chunk ${chunk} could not be written`, { cause, next: 'check the disk' });
}
