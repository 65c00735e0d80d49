import type { Millis } from '../core/ids.ts';
import type { PortId } from './network.ts';
import type { Stage } from './stage.ts';
import type { Transfer } from './transfer.ts';

const SECOND_MS = 1000;

/** The object store: how fast, how late and how often it answers. What it sends is right unless a fault says otherwise. */
export class VirtualOrigin {
  readonly port: PortId;
  /** Bytes a millisecond. */
  readonly connectionLimit: number;
  readonly #stage: Stage;
  /** Whole second of virtual time that is being counted, and the requests in it. */
  #second = -1;
  #requests = 0;
  busyAnswers = 0;

  constructor(stage: Stage) {
    const { origin } = stage.scenario;
    this.#stage = stage;
    this.port = stage.network.addPort(origin.bytesPerSecond / 1000);
    this.connectionLimit = origin.connectionBytesPerSecond / 1000;
  }

  ask(transfer: Transfer): void {
    const { origin, rttMs } = this.#stage.scenario;
    if (this.#isOverLimit(this.#stage.now)) {
      this.busyAnswers += 1;
      const failure = { kind: 'busy', retryAfterMs: undefined } as const;
      this.#stage.after(rttMs, { kind: 'transfer-failed', transfer, failure });
      return;
    }
    this.#stage.after(origin.firstByteMs, { kind: 'origin-answered', transfer });
  }

  #isOverLimit(now: Millis): boolean {
    const second = Math.floor(now / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#requests = 0;
    }
    this.#requests += 1;
    return this.#requests > this.#stage.scenario.origin.requestsPerSecondMax;
  }
}
