import type { JobId, Millis, Zone } from '../core/ids.ts';
import type { Manifest } from '../core/manifest.ts';
import type { EventLog } from './event-log.ts';
import type { FetchProgress } from './fetch-progress.ts';
import { FetchSession } from './fetch-session.ts';
import type { Origin } from './origins/origin.ts';

export type FetchOptions = {
  readonly job: JobId;
  /** Where the file or directory shall stand; not a directory to put it into. */
  readonly dest: string;
  /** Closed by the run when it ends. */
  readonly origin: Origin;
  /** `undefined`: everything comes from the origin, and nobody is met. */
  readonly tracker: URL | undefined;
  readonly token: string | undefined;
  /** Where to listen for peers; port 0 takes a free one, no host listens on all addresses. */
  readonly listen: { readonly host: string | undefined; readonly port: number };
  /** The address peers are told; found out by default. */
  readonly advertiseHost: string | undefined;
  readonly zone: Zone;
  /** Overwrite what stands at `dest`, and a partial download of another job. */
  readonly replace: boolean;
  readonly linger: Linger;
  readonly linkBytesPerSecond: number | undefined;
  readonly log: EventLog;
};

/**
 * How long to serve others after the own copy is in place. `until-quiet`: while a neighbour still lacks chunks, with a
 * maximum.
 */
export type Linger = { readonly kind: 'for'; readonly lengthMs: Millis } | { readonly kind: 'until-quiet' };

export type FetchResult = {
  /** `already-complete`: the destination held the whole job, verified, before anything was asked for. */
  readonly kind: 'fetched' | 'already-complete';
  readonly manifest: Manifest;
  /** From the start of the run until the destination was in place, synced. */
  readonly placedAfterMs: Millis;
};

export type FetchRun = {
  progress(): FetchProgress;
  /**
   * Resolves when the destination is in place, verified and synced; the run may go on seeding. Rejects with
   * StarlingError.
   */
  readonly placed: Promise<FetchResult>;
  /** Resolves when everything has ended, lingering too, and all is closed. Rejects as `placed` does. */
  readonly ended: Promise<void>;
  /** End soon: says goodbye, keeps the partial download. `placed` rejects with `interrupted` if it had not come. */
  leave(): void;
};

/** Fetch one job to one place, trading with whoever else fetches it. Starts at once. */
export function startFetch(options: FetchOptions): FetchRun {
  return new FetchSession(options).start();
}
