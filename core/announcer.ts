import { config } from './config.ts';
import type { Millis } from './ids.ts';
import type { Rng } from './rng.ts';

/** When to announce: every interval, sooner when something urges, later after failures; one at a time. */
export class Announcer {
  #dueAt: Millis;
  #lastAt: Millis = Number.NEGATIVE_INFINITY;
  #isUnderWay = false;
  #failures = 0;
  #answeredAt: Millis | undefined;

  constructor(now: Millis) {
    this.#dueAt = now;
  }

  get dueAt(): Millis | undefined {
    return this.#isUnderWay ? undefined : Math.max(this.#dueAt, this.#lastAt + config.announce.gapMs);
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** The last answer; `undefined` before the first. */
  get answeredAt(): Millis | undefined {
    return this.#answeredAt;
  }

  /** Announce no later than `at`; back-off after failures is kept. */
  urge(at: Millis): void {
    if (this.#failures === 0) this.#dueAt = Math.min(this.#dueAt, at);
  }

  started(now: Millis): void {
    this.#isUnderWay = true;
    this.#lastAt = now;
    // What urges while the answer is on its way must not be overwritten by the answer.
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  answered(announceInMs: Millis, now: Millis, rng: Rng): void {
    this.#isUnderWay = false;
    this.#failures = 0;
    this.#answeredAt = now;
    this.#dueAt = Math.min(this.#dueAt, now + jittered(announceInMs, rng));
  }

  failed(retryAfterMs: Millis | undefined, now: Millis, rng: Rng): void {
    this.#isUnderWay = false;
    const backoffMs = Math.min(config.announce.retryMs * 2 ** this.#failures, config.announce.retryMsMax);
    this.#failures += 1;
    // Full jitter keeps a fleet that lost its tracker at one moment from coming back at one moment.
    this.#dueAt = now + Math.max(retryAfterMs ?? 0, backoffMs / 2) + rng.below(Math.ceil(backoffMs / 2) + 1);
  }
}

function jittered(intervalMs: Millis, rng: Rng): Millis {
  const spreadMs = Math.floor((intervalMs * config.announce.jitterPercent) / 100);
  return intervalMs - spreadMs + rng.below(2 * spreadMs + 1);
}
