import type { ChunkSet } from './chunk-set.ts';
import type { AgentId, BootId, Bytes, ChunkIndex, JobId, Millis, Zone } from './ids.ts';
import type { PeerEntry } from './peer-message.ts';

/**
 * What an agent tells the tracker: to join, for leases, every few seconds, and at the end. It holds all the tracker
 * needs to know of the agent, so that a tracker that forgot everything is whole again after one round of announces.
 */
export type Announce = {
  readonly job: JobId;
  /** SHA-256 of the manifest: agents of different bytes under one id never meet. */
  readonly manifestDigest: string;
  /** Nominal, from the manifest: leases are paced by the time one chunk takes. */
  readonly chunkLengthBytes: Bytes;
  readonly agentId: AgentId;
  readonly bootId: BootId;
  /** `undefined`: the tracker takes the address that the announce came from. */
  readonly host: string | undefined;
  readonly port: number;
  readonly zone: Zone;
  /** `left` removes the agent from the roster; anything else makes it live. */
  readonly state: 'fetching' | 'seeding' | 'left';
  readonly have: ChunkSet;
  /**
   * All leases the agent holds, also those whose start has not come: this renews them, and tells a tracker that lost its
   * memory. A lease that the tracker gave and that is not named here is free again: its answer was lost.
   */
  readonly pulling: readonly ChunkIndex[];
  /** Leases it gives back unused (its disk, its link or the origin failed it). */
  readonly returned: readonly ChunkIndex[];
  /** How many more leases it could start now; 0 when it wants none. */
  readonly leasesWanted: number;
  /** Missing chunks that no neighbour has or receives: they may have died with their last holder. */
  readonly starving: readonly ChunkIndex[];
  /** Agents whose connection broke and could not be re-made: their leases should not wait for the expiry. */
  readonly lost: readonly AgentId[];
  /** How many more neighbours it wants; 0 when it has enough. */
  readonly peersWanted: number;
  readonly neighbourCount: number;
  /** Rated speed of the machine's network where it is known. */
  readonly linkBytesPerSecond: number | undefined;
  readonly progress: AgentProgress;
};

/** For `agent status` and for people; nothing is decided by it. */
export type AgentProgress = {
  readonly bytesFromOrigin: Bytes;
  readonly bytesFromPeers: Bytes;
  readonly bytesUploaded: Bytes;
  readonly duplicateBytes: Bytes;
  readonly rateBytesPerSecond: number;
  readonly quarantined: readonly { readonly agentId: AgentId; readonly reason: string; readonly forMs: Millis }[];
};

/** All times are lengths from the moment of the answer: the clocks of tracker and agent need not agree. */
export type AnnounceAnswer = {
  readonly peers: readonly PeerEntry[];
  readonly leases: readonly Lease[];
  /** When to announce again for a lease: the agent's place in the queue. `undefined`: no chunk is free for this agent. */
  readonly leaseInMs: Millis | undefined;
  /** When to announce again at the latest. */
  readonly announceInMs: Millis;
  /** Live agents of the job in all zones, this one included. */
  readonly agentCount: number;
};

/** Permission for one agent to pull one chunk from the origin. */
export type Lease = {
  readonly chunk: ChunkIndex;
  /** Pacing: do not start before this. */
  readonly startsInMs: Millis;
  /** The tracker may give the chunk to another agent after this, unless an announce renews it. */
  readonly expiresInMs: Millis;
};

/** What `agent status` shows of one job. */
export type JobStatus = {
  readonly job: JobId;
  readonly manifestDigest: string;
  readonly chunkCount: number;
  readonly agents: readonly AgentStatus[];
  readonly leases: { readonly outstanding: number; readonly free: number };
};

export type AgentStatus = {
  readonly agentId: AgentId;
  readonly bootId: BootId;
  readonly host: string;
  readonly port: number;
  readonly zone: Zone;
  readonly state: 'fetching' | 'seeding';
  readonly haveCount: number;
  readonly pullingCount: number;
  readonly neighbourCount: number;
  readonly lastAnnounceAgoMs: Millis;
  readonly progress: AgentProgress;
};
