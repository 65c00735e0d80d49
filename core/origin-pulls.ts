import type { JobFailure } from './agent-action.ts';
import type { ChunkFailure } from './agent-input.ts';
import type { AgentSettings } from './agent-settings.ts';
import { config } from './config.ts';
import type { Download } from './downloads.ts';
import type { Holdings } from './holdings.ts';
import type { ChunkIndex, Millis } from './ids.ts';
import { type HeldLease, LeaseQueue } from './lease-queue.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Outbox } from './outbox.ts';
import { agentHash, rendezvousRank } from './rendezvous.ts';
import type { Rng } from './rng.ts';
import type { Lease } from './tracker-message.ts';

/** What this agent pulls from the origin: the chunks it holds leases for, when they may start, and what went wrong. */
export class OriginPulls {
  readonly leases = new LeaseQueue();
  readonly #settings: AgentSettings;
  readonly #holdings: Holdings;
  readonly #hood: Neighbourhood;
  readonly #out: Outbox;
  readonly #rng: Rng;
  /** Whole chunks that came from the origin with a wrong hash, by chunk. At most `chunkCount` entries. */
  readonly #corruptTries = new Map<ChunkIndex, number>();
  #failuresInRow = 0;
  #backoffUntil: Millis = 0;
  #refused: { readonly chunk: ChunkIndex; readonly why: string; readonly since: Millis } | undefined;

  constructor(settings: AgentSettings, holdings: Holdings, hood: Neighbourhood, out: Outbox, rng: Rng) {
    this.#settings = settings;
    this.#holdings = holdings;
    this.#hood = hood;
    this.#out = out;
    this.#rng = rng;
  }

  /** How many more leases are of use now. */
  leasesWanted(now: Millis): number {
    if (this.#refused || this.#backoffUntil > now) return 0;
    const waiting = this.leases.size - this.#holdings.downloads.fromOrigin;
    return Math.max(0, Math.min(config.origin.leasesMax - this.leases.size, this.#holdings.lackedCount - waiting));
  }

  /** When the next waiting lease may start; `undefined` if none waits or no pull is free. */
  nextStartAt(): Millis | undefined {
    if (this.#holdings.downloads.fromOrigin >= config.origin.pullsMax) return undefined;
    const nextStartAt = this.leases.nextStartAt();
    return nextStartAt === undefined ? undefined : Math.max(nextStartAt, this.#backoffUntil);
  }

  granted(leases: readonly Lease[], now: Millis): void {
    for (const lease of leases) {
      if (this.#holdings.have.has(lease.chunk)) continue;
      this.leases.add(lease, now);
    }
  }

  startDue(now: Millis): void {
    const nextStartAt = this.nextStartAt();
    if (nextStartAt === undefined || nextStartAt > now) return;
    for (const lease of this.leases.takeDue(now)) {
      if (this.#holdings.downloads.fromOrigin >= config.origin.pullsMax) return;
      this.#start(lease, now);
    }
  }

  verified(download: Download): void {
    this.leases.fulfil(download.chunk);
    if (download.source.kind !== 'origin') return;
    this.#failuresInRow = 0;
    this.#corruptTries.delete(download.chunk);
  }

  /** A pull failed: try the lease again later, give it back, or give up the job. */
  failed(chunk: ChunkIndex, failure: ChunkFailure, now: Millis): JobFailure | undefined {
    const lease = this.leases.find(chunk);
    // Stalled: the origin is silent on our way to it. Another agent may have a better one, and must not wait for us.
    if (lease && failure.kind === 'cancelled') this.leases.giveBack(chunk);
    else if (lease) this.#retry(lease, now);
    if (failure.kind === 'corrupt' || failure.kind === 'wrong-length') return this.#corrupt(chunk);
    if (failure.kind === 'refused' || failure.kind === 'gone') {
      const why = failure.kind === 'refused' ? failure.why : 'the object is gone';
      this.#refused ??= { chunk, why, since: now };
      for (const held of this.leases.chunks) if (!this.#holdings.inFlight.has(held)) this.leases.giveBack(held);
      return undefined;
    }
    // An origin that is silent stalls all pulls at one time: that is one failure.
    if (failure.kind === 'cancelled' && now < this.#backoffUntil) return undefined;
    const backoffMs = Math.min(config.origin.retryMs * 2 ** this.#failuresInRow, config.origin.retryMsMax);
    this.#failuresInRow += 1;
    const askedMs = failure.kind === 'busy' ? (failure.retryAfterMs ?? 0) : 0;
    this.#backoffUntil = now + Math.max(askedMs, backoffMs / 2) + this.#rng.below(Math.ceil(backoffMs / 2) + 1);
    return undefined;
  }

  /** An origin that refuses us ends the job only when no peer can help either. */
  hopeless(now: Millis): JobFailure | undefined {
    if (!this.#refused || now - this.#refused.since < config.origin.refusedGraceMs) return undefined;
    if (this.#holdings.have.isFull || this.#holdings.downloads.size > 0) return undefined;
    for (const chunk of this.#holdings.have.missing()) {
      if (this.#copies(chunk) > 0) return undefined;
    }
    return { kind: 'origin-refused', chunk: this.#refused.chunk, why: this.#refused.why };
  }

  /**
   * Without a tracker every agent leases to itself what is not left to others, at once if it stands first among itself
   * and its neighbours in rendezvous order for the chunk, later by its place. Views that differ cost duplicates from the
   * origin, never progress. Left is what a neighbour says it has or receives: any of the `neighbours`, or only the
   * `givers` among them, whose word is proved. With nobody who gives us anything (the only holder hangs, or lies, or all
   * neighbours quarantine us) left to `nobody` is any missing chunk.
   */
  leaseToSelf(leftTo: 'neighbours' | 'givers' | 'nobody', sinceMs: Millis, now: Millis): void {
    if (this.#refused || this.#backoffUntil > now) return;
    const outstandingMax = this.#hood.neighbours.size > 0 ? config.lease.outstandingBase : config.origin.pullsMax;
    const others = this.#hood.neighbours.list.map(neighbour => agentHash(neighbour.entry.agentId));
    const self = agentHash(this.#settings.self);
    const ranksServed = Math.floor(sinceMs / config.announce.takeoverMs);
    const isLeft = this.#isLeftTo(leftTo);
    for (const chunk of this.#holdings.have.missing()) {
      if (this.leases.size >= outstandingMax) return;
      if (!this.#holdings.lacks(chunk) || this.leases.find(chunk)) continue;
      if (isLeft(chunk)) continue;
      if (rendezvousRank(chunk, self, others) > ranksServed) continue;
      this.leases.addOwn(chunk, now);
    }
  }

  #start(lease: HeldLease, now: Millis): void {
    // A peer is sending it, or has sent it: the lease has done its duty.
    if (!this.#holdings.lacks(lease.chunk)) return this.leases.fulfil(lease.chunk);
    lease.isPulling = true;
    this.#holdings.start(lease.chunk, { kind: 'origin' }, now);
    this.#out.push({ kind: 'pull-from-origin', chunk: lease.chunk });
  }

  #retry(lease: HeldLease, now: Millis): void {
    lease.isPulling = false;
    lease.tries += 1;
    lease.startAt = now;
    if (lease.tries >= config.origin.leaseTriesMax) this.leases.giveBack(lease.chunk);
  }

  #corrupt(chunk: ChunkIndex): JobFailure | undefined {
    const tries = (this.#corruptTries.get(chunk) ?? 0) + 1;
    this.#corruptTries.set(chunk, tries);
    return tries >= config.origin.corruptTriesMax ? { kind: 'origin-corrupt', chunk } : undefined;
  }

  #isLeftTo(leftTo: 'neighbours' | 'givers' | 'nobody'): (chunk: ChunkIndex) => boolean {
    if (leftTo === 'nobody') return () => false;
    if (leftTo === 'neighbours') return chunk => this.#copies(chunk) > 0;
    const givers = this.#hood.neighbours.list.filter(neighbour => neighbour.hasGiven);
    return chunk => givers.some(({ have, arriving }) => have.has(chunk) || arriving.has(chunk));
  }

  #copies(chunk: ChunkIndex): number {
    return this.#hood.neighbours.copies[chunk] as number;
  }
}
