import type { AnnounceContent } from './agent-action.ts';
import type { AgentSettings } from './agent-settings.ts';
import { Announcer } from './announcer.ts';
import { config } from './config.ts';
import type { Holdings } from './holdings.ts';
import type { AgentId, ChunkIndex, Millis } from './ids.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { OriginPulls } from './origin-pulls.ts';
import type { Outbox } from './outbox.ts';
import type { Rng } from './rng.ts';
import type { AnnounceAnswer } from './tracker-message.ts';

/** Which rung of the ladder finds peers and leases (design section 7). */
export type DiscoveryRung = 'tracker' | 'rendezvous' | 'origin-alone';

/** Talks to the tracker, and does without it when it is away. */
export class Discovery {
  readonly #settings: AgentSettings;
  readonly #holdings: Holdings;
  readonly #hood: Neighbourhood;
  readonly #pulls: OriginPulls;
  readonly #out: Outbox;
  readonly #rng: Rng;
  readonly #announcer: Announcer;
  readonly #startedAt: Millis;
  /** Chunks may be had for the asking: the last answer left some free. */
  #hasFreeLeases = true;
  #isToppedUp = false;
  #isLeaving = false;
  /** Since when nobody gave us anything: pulls from the origin without a lease, until the tracker gives us one again. */
  #rescuingSince: Millis | undefined;
  /** What the announce under way carried, to say it again should it fail. */
  #told: { readonly returned: readonly ChunkIndex[]; readonly pulling: readonly ChunkIndex[] } | undefined;

  constructor(
    settings: AgentSettings,
    holdings: Holdings,
    hood: Neighbourhood,
    pulls: OriginPulls,
    out: Outbox,
    rng: Rng,
    now: Millis,
  ) {
    this.#settings = settings;
    this.#holdings = holdings;
    this.#hood = hood;
    this.#pulls = pulls;
    this.#out = out;
    this.#rng = rng;
    this.#announcer = new Announcer(now);
    this.#startedAt = now;
  }

  get dueAt(): Millis | undefined {
    return this.#settings.tracker === 'none' ? undefined : this.#announcer.dueAt;
  }

  rung(now: Millis): DiscoveryRung {
    if (this.#awayForMs(now) === undefined) return this.#rescuingSince === undefined ? 'tracker' : 'origin-alone';
    return this.#hood.neighbours.size > 0 ? 'rendezvous' : 'origin-alone';
  }

  answered(answer: AnnounceAnswer, now: Millis): void {
    this.#announcer.answered(answer.announceInMs, now, this.#rng);
    if (this.#told) this.#pulls.leases.renew(this.#told.pulling, now + config.lease.expiresMs);
    this.#told = undefined;
    for (const peer of answer.peers) this.#hood.meet(peer, now);
    this.#pulls.granted(answer.leases, now);
    if (answer.leases.length > 0) this.#rescuingSince = undefined;
    this.#hasFreeLeases = answer.leaseInMs !== undefined;
    if (answer.leaseInMs !== undefined && this.#pulls.leasesWanted(now) > 0)
      this.#announcer.urge(now + answer.leaseInMs);
    this.#topUp(answer.agentCount, now);
  }

  failed(retryAfterMs: Millis | undefined, now: Millis): void {
    if (this.#told) this.#pulls.leases.putBack(this.#told.returned);
    this.#told = undefined;
    this.#announcer.failed(retryAfterMs, now, this.#rng);
  }

  /** A lease was fulfilled or given back: the tracker can give the next one, to us or to another. */
  leaseEnded(now: Millis): void {
    if (this.#hasFreeLeases) this.#announcer.urge(now);
  }

  /** What others should know at once: complete, leaving, a holder that died. */
  urge(now: Millis): void {
    this.#announcer.urge(now);
  }

  leave(now: Millis): void {
    this.#isLeaving = true;
    this.#announcer.urge(now);
  }

  announceIfDue(now: Millis): void {
    const dueAt = this.dueAt;
    if (dueAt === undefined || dueAt > now) return;
    const announce = this.#content(now);
    this.#told = { returned: announce.returned, pulling: announce.pulling };
    this.#announcer.started(now);
    this.#out.push({ kind: 'announce', announce });
  }

  /**
   * Called now and then: with the tracker away, or none at all, or nobody who gives us anything, lease to oneself. The
   * tracker may think that a chunk is in the zone because a liar says so: when others have begun to give us what they
   * rescued, the rest must still be rescued, or each round of it would wait for `rescueAfterMs`.
   */
  fallBack(now: Millis): void {
    if (this.#isLeaving || this.#holdings.have.isFull) {
      this.#rescuingSince = undefined;
      return;
    }
    const isStuck = now - this.#holdings.gainedAt >= config.announce.rescueAfterMs;
    if (isStuck) this.#rescuingSince ??= now;
    const awayForMs = this.#awayForMs(now);
    if (this.#rescuingSince !== undefined) {
      this.#pulls.leaseToSelf(isStuck ? 'nobody' : 'givers', now - this.#rescuingSince, now);
    } else if (awayForMs !== undefined) this.#pulls.leaseToSelf('neighbours', awayForMs, now);
  }

  #awayForMs(now: Millis): Millis | undefined {
    if (this.#settings.tracker === 'none') return now - this.#startedAt;
    const silentMs = now - (this.#announcer.answeredAt ?? this.#startedAt) - config.announce.trackerAwayMs;
    return silentMs >= 0 ? silentMs : undefined;
  }

  /** Soon after the first answer ask for more peers: those of the same burst have joined meanwhile. */
  #topUp(agentCount: number, now: Millis): void {
    if (this.#isToppedUp || this.#hood.wanted === 0) return;
    this.#isToppedUp = true;
    if (agentCount > 1 || this.#holdings.lackedCount > 0) this.#announcer.urge(now + config.graph.topUpAfterMs);
  }

  #content(now: Millis): AnnounceContent {
    const isComplete = this.#holdings.have.isFull;
    const active = isComplete ? 'seeding' : 'fetching';
    return {
      state: this.#isLeaving ? 'left' : active,
      have: this.#holdings.have.clone(),
      pulling: this.#pulls.leases.chunks,
      returned: this.#pulls.leases.takeReturned(),
      leasesWanted: this.#isLeaving || isComplete ? 0 : this.#pulls.leasesWanted(now),
      starving: this.#isLeaving ? [] : this.#starving(),
      lost: this.#hood.takeLost() satisfies readonly AgentId[],
      peersWanted: this.#isLeaving ? 0 : this.#hood.wanted,
      neighbourCount: this.#hood.neighbours.size,
    };
  }

  #starving(): readonly ChunkIndex[] {
    const starving: ChunkIndex[] = [];
    for (const chunk of this.#holdings.have.missing()) {
      if (starving.length >= config.announce.starvingMax) break;
      const copies = this.#hood.neighbours.copies[chunk] as number;
      if (copies === 0 && this.#holdings.lacks(chunk) && !this.#pulls.leases.find(chunk)) starving.push(chunk);
    }
    return starving;
  }
}
