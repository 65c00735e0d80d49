import { config } from './config.ts';
import type { Bytes, Millis } from './ids.ts';
import { OriginEstimate, type OriginEstimateState } from './origin-estimate.ts';

const limits = config.lease;

/** What one agent asks of the clock. */
export type LeaseAsk = {
  /** Leases it could start now; at most as many as there are free chunks for it. */
  readonly wanted: number;
  /** Leases it holds. */
  readonly held: number;
  /** This is its first announce. */
  readonly isNewcomer: boolean;
  /** Its place in the queue, if it has one. */
  readonly ticket: number | undefined;
};

/** The zone at this moment. */
export type ZoneLoad = {
  /** Leases that are out. */
  readonly outstanding: number;
  /** Live agents, the asker included. */
  readonly agentCount: number;
  /** Those of them that want leases or work on some, the asker included. */
  readonly leasingCount: number;
  /** Time between two tokens; `undefined` while no agent told its link. */
  readonly tokenMs: Millis | undefined;
};

/** The whole clock as plain JSON. */
export type LeaseClockState = {
  readonly estimate: OriginEstimateState;
  readonly nextTokenAt: Millis;
  readonly turn: number;
  readonly turnAt: Millis;
  readonly lastTicket: number;
};

/**
 * Paces the leases of one zone, so that chunks come in one after another and can be traded at once, instead of all
 * together at the end (all at once: 2.0x, paced: 1.09x; field/policy.md). Three rules, each with its own words:
 * - the WINDOW bounds the leases outstanding: a base, plus twice what is on its way to and from the origin;
 * - TOKENS, one each chunk time of the typical link, where links are known: a lease takes one and starts when it is due;
 * - TICKETS number the agents that must wait. Turns go by at the pace of leases, so that agents come one after another,
 *   and go by in any case, so that nobody waits for those who do not come.
 */
export class LeaseClock {
  readonly estimate: OriginEstimate;
  /** When the next token is due. In the past: tokens wait, at most `tokenBurst` of them. */
  #nextTokenAt: Millis = 0;
  /** Tickets up to this one have had their turn; a fraction is the time since. */
  #turn = 0;
  #turnAt: Millis = 0;
  #lastTicket = 0;

  constructor(estimate: OriginEstimate) {
    this.estimate = estimate;
  }

  static restore(state: LeaseClockState): LeaseClock {
    const clock = new LeaseClock(OriginEstimate.restore(state.estimate));
    clock.#nextTokenAt = state.nextTokenAt;
    clock.#turn = state.turn;
    clock.#turnAt = state.turnAt;
    clock.#lastTicket = state.lastTicket;
    return clock;
  }

  get state(): LeaseClockState {
    return {
      estimate: this.estimate.state,
      nextTokenAt: this.#nextTokenAt,
      turn: this.#turn,
      turnAt: this.#turnAt,
      lastTicket: this.#lastTicket,
    };
  }

  /** Most leases outstanding at one time. `tokenMs` as in {@link ZoneLoad}. */
  window(tokenMs: Millis | undefined): number {
    const { completionsPerMs = 0, shortestMs = limits.completionMsAssumed, hasSeenCompletions } = this.estimate;
    // Nothing is known of origin and links: a few leases find out, alone, how long one takes.
    if (tokenMs === undefined && !hasSeenCompletions) return limits.outstandingAtStart;
    // Tokens are what is aimed for: few completions seen yet must not hold them back.
    const aimedInPipe = tokenMs === undefined ? 0 : limits.completionMsAssumed / tokenMs;
    const chunksInPipe = Math.max(aimedInPipe, completionsPerMs * shortestMs);
    // One chunk at a time is in transfer; the others are on their way (field/policy.md: Lmin is without chunk / link).
    const onTheWay = Math.max(0, chunksInPipe - 1);
    const window = limits.outstandingBase + Math.floor(limits.outstandingPerBdp * onTheWay);
    return Math.min(window, limits.outstandingMax);
  }

  /**
   * When each of the leases starts that the asker may be given now; empty if none. Takes their tokens.
   * Outstanding stays within the window, and the asker's own within its share of the window.
   */
  takeStarts(ask: LeaseAsk, load: ZoneLoad, now: Millis): readonly Millis[] {
    const window = this.window(load.tokenMs);
    const share = Math.max(1, Math.ceil(window / load.leasingCount));
    const most = ask.isNewcomer ? limits.newcomerMax : limits.outstandingMax;
    const allowed = Math.min(ask.wanted, window - load.outstanding, share - ask.held, most);
    if (allowed <= 0 || !this.#isTurnOf(ask, load, now)) return [];
    // A sole agent has nobody to trade with: its own line is the only pace.
    if (load.tokenMs === undefined || load.agentCount === 1) return new Array<Millis>(allowed).fill(now);
    return this.#takeTokens(allowed, load.outstanding, load.tokenMs, now);
  }

  /** The asker's place in the queue: the one it has, or a new one at the end. */
  ticketFor(ask: LeaseAsk, load: ZoneLoad, now: Millis): number {
    this.#passTurns(load, now);
    if (ask.ticket !== undefined && !this.#isDue(ask.ticket, load)) return ask.ticket;
    this.#lastTicket = Math.max(this.#turn, this.#lastTicket) + 1;
    return this.#lastTicket;
  }

  /** When to come with the ticket: a little early, as leases are given a little early; within `retryMsMax` in any case. */
  waitMs(ticket: number, load: ZoneLoad, now: Millis): Millis {
    this.#passTurns(load, now);
    const waitMs = (ticket - this.#turn) * this.#ticketMs(load) - limits.tokenAheadMs;
    return Math.max(Math.min(waitMs, this.#longestWaitMs(load)), config.announce.gapMs);
  }

  /**
   * Where the window has a place for everybody, shares are fair enough. Else those who queue go first: an agent that
   * just delivered would otherwise take again the very place that it freed, and the same few would pull everything.
   */
  #isTurnOf(ask: LeaseAsk, load: ZoneLoad, now: Millis): boolean {
    this.#passTurns(load, now);
    const window = this.window(load.tokenMs);
    if (load.leasingCount <= window || this.#lastTicket <= this.#turn) return true;
    // Turns mean nothing before it is known how fast they should go by.
    if (load.tokenMs === undefined && this.estimate.completionsPerMs === undefined) return true;
    if (ask.ticket !== undefined && this.#isDue(ask.ticket, load)) return true;
    // Those who queue do not come, or not in time: better out of turn than not at all.
    const tokensWait = load.tokenMs === undefined || this.#nextTokenAt + load.tokenMs <= now;
    return load.outstanding === 0 || (load.outstanding * 2 < window && tokensWait);
  }

  #isDue(ticket: number, load: ZoneLoad): boolean {
    return ticket <= this.#turn + limits.tokenAheadMs / this.#ticketMs(load);
  }

  #passTurns(load: ZoneLoad, now: Millis): void {
    this.#turn += Math.max(0, now - this.#turnAt) / this.#ticketMs(load);
    this.#turnAt = now;
  }

  /** Time between two turns: one for each lease that the window has room for, if it fills as it may. */
  #ticketMs({ tokenMs }: ZoneLoad): Millis {
    if (tokenMs !== undefined) return tokenMs;
    const { completionsPerMs } = this.estimate;
    return completionsPerMs === undefined ? limits.retryMs : 1 / (limits.outstandingPerBdp * completionsPerMs);
  }

  /** A pace that is only measured may soon be a faster one: come back when that may be known, if the tracker bears it. */
  #longestWaitMs({ tokenMs, leasingCount }: ZoneLoad): Millis {
    if (tokenMs !== undefined) return limits.retryMsMax;
    const bearableMs = (leasingCount * 1000) / limits.asksPerSecondMax;
    return Math.min(Math.max(bearableMs, this.estimate.shortestMs ?? limits.retryMs), limits.retryMsMax);
  }

  #takeTokens(allowed: number, outstanding: number, tokenMs: Millis, now: Millis): readonly Millis[] {
    const starts: Millis[] = [];
    while (starts.length < allowed) {
      // The origin never idles, however slow the agents say that their links are.
      const isIdle = outstanding === 0 && starts.length === 0;
      const tokenAt = Math.max(this.#nextTokenAt, now - (limits.tokenBurst - 1) * tokenMs);
      const dueAt = isIdle ? Math.min(tokenAt, now) : tokenAt;
      if (dueAt > now + limits.tokenAheadMs) break;
      starts.push(Math.max(dueAt, now));
      this.#nextTokenAt = dueAt + tokenMs;
    }
    return starts;
  }
}

/** Time between two tokens: a chunk's on the typical link. */
export function tokenMsOf(chunkLengthBytes: Bytes, medianLinkBytesPerSecond: number | undefined): Millis | undefined {
  if (medianLinkBytesPerSecond === undefined) return undefined;
  return (chunkLengthBytes * 1000) / medianLinkBytesPerSecond / limits.tokensPerChunkTime;
}
