import type { AgentAction, JobFailure } from './agent-action.ts';
import type { AgentInput, ChunkFailure, ChunkSource } from './agent-input.ts';
import type { AgentSettings } from './agent-settings.ts';
import { assert, unreachable } from './assert.ts';
import type { ChunkSet } from './chunk-set.ts';
import { config } from './config.ts';
import { Discovery, type DiscoveryRung } from './discovery.ts';
import { Exchange } from './exchange.ts';
import { Holdings } from './holdings.ts';
import type { AgentId, ChunkIndex, Millis } from './ids.ts';
import { Neighbourhood } from './neighbourhood.ts';
import { OriginPulls } from './origin-pulls.ts';
import { Outbox } from './outbox.ts';
import type { PeerHello } from './peer-message.ts';
import type { Quarantined } from './quarantine.ts';
import type { Rng } from './rng.ts';

/**
 * All decisions of one agent for one job. The driver of the real agent and the simulator's virtual agent both use it
 * the same way: `handle` every input, carry out the actions in order, and call `handle({ kind: 'woke' })` no later
 * than `nextDeadline()`. It does no I/O, reads no clock and throws no dice but `rng`.
 *
 * Wrong or late inputs (of peers forgotten, of transfers ended) are ignored, never asserted: a driver cannot know.
 */
export class AgentState {
  readonly #out = new Outbox();
  readonly #holdings: Holdings;
  readonly #hood: Neighbourhood;
  readonly #pulls: OriginPulls;
  readonly #exchange: Exchange;
  readonly #discovery: Discovery;
  #housekeepAt: Millis;
  #isComplete = false;
  #isFailed = false;

  constructor(settings: AgentSettings, have: ChunkSet, now: Millis, rng: Rng) {
    assert(have.chunkCount === settings.chunkCount, 'the have-map is of another job');
    this.#holdings = new Holdings(have, now);
    this.#hood = new Neighbourhood(settings.self, settings.chunkCount, this.#out);
    this.#pulls = new OriginPulls(settings, this.#holdings, this.#hood, this.#out, rng);
    this.#exchange = new Exchange(settings, this.#holdings, this.#hood, this.#out, rng, now);
    this.#discovery = new Discovery(settings, this.#holdings, this.#hood, this.#pulls, this.#out, rng, now);
    this.#housekeepAt = now;
  }

  get have(): ChunkSet {
    return this.#holdings.have;
  }

  get neighbourCount(): number {
    return this.#hood.neighbours.size;
  }

  /** Neighbours that still lack chunks. */
  get fetchingNeighbourCount(): number {
    return this.#hood.neighbours.list.filter(neighbour => !neighbour.isSeed).length;
  }

  rung(now: Millis): DiscoveryRung {
    return this.#discovery.rung(now);
  }

  quarantined(now: Millis): readonly Quarantined[] {
    return this.#hood.quarantine.current(now);
  }

  /** Whether a peer that dials us may become a neighbour. */
  admits(peer: AgentId, now: Millis): 'accept' | 'full' | 'quarantined' {
    return this.#hood.admits(peer, now);
  }

  /** What our hello says at this moment, but for who we are. */
  holdings(): Pick<PeerHello, 'have' | 'arriving'> {
    return { have: this.#holdings.have.clone(), arriving: [...this.#holdings.inFlight] };
  }

  /** When to wake at the latest; `undefined`: nothing to wait for. */
  nextDeadline(): Millis | undefined {
    if (this.#isFailed) return undefined;
    const deadlines = [
      this.#holdings.news.dueAt,
      this.#discovery.dueAt,
      this.#pulls.nextStartAt(),
      this.#isQuiet ? undefined : this.#housekeepAt,
    ];
    let next: Millis | undefined;
    for (const deadline of deadlines)
      if (deadline !== undefined && (next === undefined || deadline < next)) next = deadline;
    return next;
  }

  handle(input: AgentInput, now: Millis): readonly AgentAction[] {
    if (this.#isFailed) return [];
    const failure = this.#take(input, now);
    if (failure) return this.#fail(failure);
    return this.#advance(now);
  }

  #take(input: AgentInput, now: Millis): JobFailure | undefined {
    switch (input.kind) {
      case 'tracker-answered':
        this.#discovery.answered(input.answer, now);
        return;
      case 'tracker-failed':
        this.#discovery.failed(input.retryAfterMs, now);
        return;
      case 'peer-connected':
        this.#peerConnected(input.hello, now);
        return;
      case 'peer-disconnected':
        this.#peerDisconnected(input.peer, input.reason, now);
        return;
      case 'peer-said': {
        const neighbour = this.#hood.neighbours.find(input.peer);
        if (neighbour) this.#exchange.said(neighbour, input.message, now);
        return;
      }
      case 'upload-asked':
        this.#exchange.asked(input, now);
        return;
      case 'upload-ended':
        this.#exchange.uploadEnded(input.upload, input.complete ? 'sent' : 'failed', now);
        return;
      case 'chunk-progressed':
        this.#chunkProgressed(input.chunk, input.source, input.passedOn, now);
        return;
      case 'chunk-verified':
        this.#chunkVerified(input.chunk, input.source, now);
        return;
      case 'chunk-failed':
        return this.#chunkFailed(input.chunk, input.source, input.failure, now);
      case 'woke':
        return;
      case 'leave':
        this.#exchange.leave();
        this.#discovery.leave(now);
        return;
      default:
        return unreachable(input);
    }
  }

  /** What follows from any input, and from the clock. */
  #advance(now: Millis): readonly AgentAction[] {
    if (now >= this.#housekeepAt) {
      this.#housekeepAt = now + config.exchange.housekeepingMs;
      this.#exchange.housekeep(now);
      this.#discovery.fallBack(now);
      const hopeless = this.#pulls.hopeless(now);
      if (hopeless) return this.#fail(hopeless);
    }
    this.#hood.dial(now);
    this.#pulls.startDue(now);
    this.#exchange.fillSlots(now);
    this.#tellNews(now);
    this.#completeIfFull(now);
    this.#discovery.announceIfDue(now);
    return this.#out.take();
  }

  /** A seed that serves nobody and dials nobody has nothing to look after. */
  get #isQuiet(): boolean {
    return this.#isComplete && this.#exchange.isIdle && this.#hood.acquaintances.size === 0;
  }

  #peerConnected(hello: PeerHello, now: Millis): void {
    // A new boot, or a link re-made before we heard that the old one broke: what the old one held is free.
    const former = this.#hood.neighbours.remove(hello.from.agentId);
    if (former) this.#exchange.forget(former);
    this.#hood.connected(hello, now);
    this.#exchange.refresh();
  }

  #peerDisconnected(peer: AgentId, reason: Parameters<Neighbourhood['disconnected']>[1], now: Millis): void {
    const neighbour = this.#hood.disconnected(peer, reason, now);
    if (neighbour) this.#exchange.forget(neighbour);
    if (reason === 'protocol') this.#exchange.punish(peer, 'strike', 'protocol', now);
    if (this.#hood.hasLost && !this.#holdings.have.isFull) this.#discovery.urge(now);
  }

  #chunkProgressed(chunk: ChunkIndex, source: ChunkSource, passedOn: boolean, now: Millis): void {
    const download = this.#holdings.downloads.find(chunk, source);
    if (!download) return;
    if (download.hasBytes) this.#gained(chunk, source, now);
    if (this.#holdings.progress(download, passedOn, now)) this.#exchange.refresh();
  }

  #chunkVerified(chunk: ChunkIndex, source: ChunkSource, now: Millis): void {
    const download = this.#holdings.downloads.find(chunk, source);
    if (!download) return;
    this.#gained(chunk, source, now);
    this.#holdings.keep(download, now);
    this.#exchange.downloadEnded(download);
    this.#exchange.confirm(download);
    this.#exchange.refresh();
    this.#pulls.verified(download);
    if (source.kind === 'origin') this.#discovery.leaseEnded(now);
  }

  /** Others, or the tracker, give us something. What we take from the origin without asking does not count. */
  #gained(chunk: ChunkIndex, source: ChunkSource, now: Millis): void {
    if (source.kind === 'peer' || this.#pulls.leases.find(chunk)?.isOwn === false) this.#holdings.gainedAt = now;
  }

  #chunkFailed(chunk: ChunkIndex, source: ChunkSource, failure: ChunkFailure, now: Millis): JobFailure | undefined {
    const download = this.#holdings.downloads.find(chunk, source);
    if (!download) return undefined;
    this.#holdings.drop(download, now);
    this.#exchange.downloadEnded(download);
    this.#exchange.withdraw(chunk);
    if (source.kind === 'peer') {
      this.#exchange.blame(source.peer, failure, now);
      return undefined;
    }
    const jobFailure = this.#pulls.failed(chunk, failure, now);
    if (!this.#pulls.leases.find(chunk)) this.#discovery.leaseEnded(now);
    return jobFailure;
  }

  #tellNews(now: Millis): void {
    const dueAt = this.#holdings.news.dueAt;
    if (dueAt === undefined || dueAt > now) return;
    const update = this.#holdings.news.take();
    // Also without neighbours: a link whose hello went out a moment ago must hear what the hello did not know.
    this.#out.push({ kind: 'tell-all', message: update });
  }

  #completeIfFull(now: Millis): void {
    if (this.#isComplete || !this.#holdings.have.isFull) return;
    this.#isComplete = true;
    this.#out.push({ kind: 'complete' });
    this.#discovery.urge(now);
  }

  #fail(failure: JobFailure): readonly AgentAction[] {
    this.#isFailed = true;
    this.#out.push({ kind: 'fail', failure });
    return this.#out.take();
  }
}
