import type { Bytes, JobId, Millis } from '../core/ids.ts';

/** A picture of one fetch at one moment; what the progress bar, the `--json` lines and the demo draw. */
export type FetchProgress = {
  readonly phase: FetchPhase;
  readonly job: JobId;
  readonly chunkCount: number;
  readonly haveCount: number;
  readonly lengthBytes: Bytes;
  readonly haveBytes: Bytes;
  /** Already verified on disk when this run began. */
  readonly resumedBytes: Bytes;
  readonly bytesFromOrigin: Bytes;
  readonly bytesFromPeers: Bytes;
  readonly bytesUploaded: Bytes;
  /** Received but not needed: bad chunks, cancelled transfers. */
  readonly duplicateBytes: Bytes;
  /** Over the last few seconds, received. */
  readonly rateBytesPerSecond: number;
  readonly neighbourCount: number;
  /** Which rung of the ladder finds peers and leases now. */
  readonly discovery: 'tracker' | 'rendezvous' | 'origin-alone';
  readonly quarantined: readonly { readonly peer: string; readonly reason: string; readonly forMs: Millis }[];
  readonly elapsedMs: Millis;
  /** `undefined` while nothing is known. */
  readonly etaMs: Millis | undefined;
};

/** `checking`: re-hashing what an earlier run left. `seeding`: placed, and still serving others. */
export type FetchPhase = 'starting' | 'checking' | 'fetching' | 'placing' | 'seeding' | 'ended';
