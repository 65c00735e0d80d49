import { config } from './config.ts';
import type { Millis } from './ids.ts';

const limits = config.lease;

/** What was seen of the origin, as plain JSON. */
export type OriginEstimateState = {
  readonly completionsPerMs: Best | undefined;
  readonly shortestMs: Millis | undefined;
  readonly sample: { readonly startedAt: Millis; readonly completions: number } | undefined;
};

type Best = { readonly value: number; readonly at: Millis };

/**
 * How fast the origin serves one zone: the best rate of completions, believed for `rateMsMax`, and the shortest time of
 * one, believed for good (after BBR, Cardwell et al., ACM Queue 14(5), 2016). Best, not mean: delay that our own queue
 * adds must not shrink the window, or it collapses (field/policy.md, negative results). A shortest time that is renewed
 * while we keep a queue would hold that queue's delay, and the window would grow by itself without end.
 */
export class OriginEstimate {
  #completionsPerMs: Best | undefined;
  #shortestMs: Millis | undefined;
  #sample: OriginEstimateState['sample'];

  static restore(state: OriginEstimateState): OriginEstimate {
    const estimate = new OriginEstimate();
    estimate.#completionsPerMs = state.completionsPerMs;
    estimate.#shortestMs = state.shortestMs;
    estimate.#sample = state.sample;
    return estimate;
  }

  get state(): OriginEstimateState {
    return { completionsPerMs: this.#completionsPerMs, shortestMs: this.#shortestMs, sample: this.#sample };
  }

  get hasSeenCompletions(): boolean {
    return this.#sample !== undefined;
  }

  /** `undefined` until a first sample is whole. */
  get completionsPerMs(): number | undefined {
    return this.#completionsPerMs?.value;
  }

  get shortestMs(): Millis | undefined {
    return this.#shortestMs;
  }

  /** A leased chunk came in. `tookMs` from the start of its lease, if its own holder says so and the start is known. */
  completed(tookMs: Millis | undefined, now: Millis): void {
    if (tookMs !== undefined) this.#shortestMs = Math.min(tookMs, this.#shortestMs ?? tookMs);
    if (!this.#sample) {
      this.#sample = { startedAt: now, completions: 0 };
      return;
    }
    const completions = this.#sample.completions + 1;
    const sampledMs = now - this.#sample.startedAt;
    if (sampledMs < Math.max(limits.rateSampleMsMin, limits.rateSampleCompletions * (this.#shortestMs ?? 0))) {
      this.#sample = { ...this.#sample, completions };
      return;
    }
    const rate = completions / sampledMs;
    if (rate >= (this.completionsPerMs ?? 0) || isOld(this.#completionsPerMs, now)) {
      this.#completionsPerMs = { value: rate, at: now };
    }
    this.#sample = { startedAt: now, completions: 0 };
  }
}

function isOld(best: Best | undefined, now: Millis): boolean {
  return best !== undefined && now - best.at > limits.rateMsMax;
}
