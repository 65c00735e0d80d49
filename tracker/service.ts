import type { AddressedAnnounce } from '../core/agent-row.ts';
import { type AnnounceOutcome, shapeOf } from '../core/announce-answer.ts';
import type { JobId, Millis } from '../core/ids.ts';
import type { Rng } from '../core/rng.ts';
import type { JobStatus } from '../core/tracker-message.ts';
import type { RosterStore } from './roster-store.ts';

/** The tracker, behind the embedded server and behind the Lambda alike. */
export class TrackerService {
  readonly #store: RosterStore;
  readonly #rng: Rng;

  /** `rng` draws the peers that are handed out; seed it anew for each process. */
  constructor(store: RosterStore, rng: Rng) {
    this.#store = store;
    this.#rng = rng;
  }

  async announce(announce: AddressedAnnounce, now: Millis): Promise<AnnounceOutcome> {
    const outcome = await this.#store.change(shapeOf(announce), now, record => record.answer(announce, now, this.#rng));
    return outcome === 'full' ? { kind: 'full', what: 'jobs' } : outcome;
  }

  /** `undefined`: nobody announces the job. */
  async status(job: JobId, now: Millis): Promise<JobStatus | undefined> {
    return this.#store.read(job, now, record => record.status(now));
  }
}
