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
  /** Its turn, if it queues. */
  readonly ticketAt: Millis | undefined;
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
  readonly lastTicketAt: Millis;
};

/**
 * Paces the leases of one zone, so that chunks come in one after another and can be traded at once, instead of all
 * together at the end (all at once: 2.0x, paced: 1.09x; field/policy.md). Three rules, each with its own words:
 * - the WINDOW bounds the leases outstanding: a base, plus twice what is on its way to and from the origin;
 * - TOKENS, one each chunk time of the typical link, where links are known: a lease takes one and starts when it is due;
 * - TICKETS give those who must wait their turn, one each token time, so that agents come back one after another.
 */
export class LeaseClock {
  readonly estimate: OriginEstimate;
  /** When the next token is due. In the past: tokens wait, at most `tokenBurst` of them. */
  #nextTokenAt: Millis = 0;
  #lastTicketAt: Millis = 0;

  constructor(estimate: OriginEstimate) {
    this.estimate = estimate;
  }

  static restore(state: LeaseClockState): LeaseClock {
    const clock = new LeaseClock(OriginEstimate.restore(state.estimate));
    clock.#nextTokenAt = state.nextTokenAt;
    clock.#lastTicketAt = state.lastTicketAt;
    return clock;
  }

  get state(): LeaseClockState {
    return { estimate: this.estimate.state, nextTokenAt: this.#nextTokenAt, lastTicketAt: this.#lastTicketAt };
  }

  /** Most leases outstanding at one time. `tokenMs` as in {@link ZoneLoad}. */
  window(tokenMs: Millis | undefined): number {
    // Tokens are what is aimed for: the window must not hold them back just because few completions were seen yet.
    const perMs = Math.max(this.estimate.completionsPerMs ?? 0, tokenMs === undefined ? 0 : 1 / tokenMs);
    const onTheWay = perMs * (this.estimate.shortestMs ?? limits.completionMsAssumed);
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

  /** The asker's place in the queue: the one it has, or a new one at the end. At most `retryMsMax` away. */
  ticketFor(ask: LeaseAsk, load: ZoneLoad, now: Millis): Millis {
    if (ask.ticketAt !== undefined && ask.ticketAt > now + limits.tokenAheadMs) return ask.ticketAt;
    const end = Math.max(now, this.#lastTicketAt, load.tokenMs === undefined ? 0 : this.#nextTokenAt);
    this.#lastTicketAt = Math.min(end + this.ticketMs(load.tokenMs), now + limits.retryMsMax);
    return this.#lastTicketAt;
  }

  /** Time between two tickets. */
  ticketMs(tokenMs: Millis | undefined): Millis {
    const { completionsPerMs } = this.estimate;
    return tokenMs ?? (completionsPerMs === undefined ? limits.retryMs : 1 / completionsPerMs);
  }

  /**
   * Where the window has a place for everybody, shares are fair enough. Else those who queue go first: an agent that
   * just delivered would otherwise take again the very place that it freed, and the same few would pull everything.
   */
  #isTurnOf(ask: LeaseAsk, load: ZoneLoad, now: Millis): boolean {
    const window = this.window(load.tokenMs);
    if (load.leasingCount <= window || this.#lastTicketAt <= now) return true;
    if (ask.ticketAt !== undefined && ask.ticketAt <= now + limits.tokenAheadMs) return true;
    // Those who queue do not come, or not in time: better out of turn than not at all.
    const tokensWait = load.tokenMs === undefined || this.#nextTokenAt + load.tokenMs <= now;
    return load.outstanding === 0 || (load.outstanding * 2 < window && tokensWait);
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
