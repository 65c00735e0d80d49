import { type JobShape, JobTracker, type Locality } from '../core/announce-answer.ts';
import { config } from '../core/config.ts';
import type { JobId, Millis } from '../core/ids.ts';
import type { RosterStore } from './roster-store.ts';

/** For the embedded tracker: one process, nothing kept beyond it. What a restart loses, the next announces bring back. */
export class MemoryRosterStore implements RosterStore {
  readonly #locality: Locality;
  /** In the order of their last change, so that the idle ones stand first. */
  readonly #records = new Map<JobId, JobTracker>();

  constructor(locality: Locality) {
    this.#locality = locality;
  }

  async change<T>(shape: JobShape, now: Millis, decide: (record: JobTracker) => T): Promise<T | 'full'> {
    this.#forgetIdle(now);
    const known = this.#records.get(shape.job);
    if (!known && this.#records.size >= config.tracker.jobsMax) return 'full';
    const record = known ?? new JobTracker(shape, this.#locality, now);
    this.#records.delete(shape.job);
    this.#records.set(shape.job, record);
    return decide(record);
  }

  async read<T>(job: JobId, now: Millis, look: (record: JobTracker) => T): Promise<T | undefined> {
    this.#forgetIdle(now);
    const record = this.#records.get(job);
    return record && look(record);
  }

  #forgetIdle(now: Millis): void {
    for (const [job, record] of this.#records) {
      if (!record.isIdle(now)) return;
      this.#records.delete(job);
    }
  }
}
