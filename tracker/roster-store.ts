import type { JobShape, JobTracker } from '../core/announce-answer.ts';
import type { JobId, Millis } from '../core/ids.ts';

/**
 * Keeps what the tracker knows of its jobs. Implementations pass test/conformance/roster-store.ts.
 *
 * A change sees one job whole and alone. In memory that is a call. DynamoDB will load what the decision reads: the row
 * of the announcer, a shard of rows to draw peers from, and ledger and clock of the zone (`LeaseLedger.state`,
 * `LeaseClock.state`) in one item with a version; it writes back by compare-and-swap on that version and decides again
 * after a lost race. So `decide` must have no effect but on the record, for it may run more than once.
 */
export interface RosterStore {
  /**
   * Let `decide` read and change the record of the job, which is made if there is none. Changes of one job come one
   * after another. `full` if `config.tracker.jobsMax` jobs are kept already. Jobs that are idle are forgotten.
   */
  change<T>(shape: JobShape, now: Millis, decide: (record: JobTracker) => T): Promise<T | 'full'>;
  /** What `look` sees in the record, or `undefined` if the job is not known. Nothing that it changes need last. */
  read<T>(job: JobId, now: Millis, look: (record: JobTracker) => T): Promise<T | undefined>;
}
