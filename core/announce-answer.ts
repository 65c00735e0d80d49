import { type AddressedAnnounce, type AgentRow, isReplacedBoot, peerEntry } from './agent-row.ts';
import { config } from './config.ts';
import { type Bytes, type JobId, type Millis, parseZone, type Zone } from './ids.ts';
import type { Rng } from './rng.ts';
import type { AgentStatus, AnnounceAnswer, JobStatus } from './tracker-message.ts';
import { ZoneTracker } from './zone-tracker.ts';

/** The bytes that a job's announces must agree on. */
export type JobShape = {
  readonly job: JobId;
  readonly manifestDigest: string;
  readonly chunkCount: number;
  readonly chunkLengthBytes: Bytes;
};

/** `zone`: agents trade inside their zone, and the origin feeds each zone one copy. `region`: one market, one copy. */
export type Locality = 'zone' | 'region';

/**
 * - `different-manifest`: live agents share other bytes under this job id. - `replaced`: a newer run of the same agent
 *   has announced since. - `full`: no room for one more of `what`.
 */
export type AnnounceOutcome =
  | { readonly kind: 'answered'; readonly answer: AnnounceAnswer }
  | { readonly kind: 'different-manifest'; readonly manifestDigest: string }
  | { readonly kind: 'replaced' }
  | { readonly kind: 'full'; readonly what: 'agents' | 'zones' | 'jobs' };

const WHOLE_REGION = parseZone('region');

/**
 * All that the tracker knows of one job, and the one door to its decisions. Soft state: lose it, and the next announces
 * bring it back. An announce never fails on surprise: an unknown agent joins, a known one sends a heartbeat, a late one
 * joins again.
 *
 * Cost of an announce: O(chunks / 32 + leases handed out + peers handed out), now and then O(agents of the zone).
 */
export class JobTracker {
  #shape: JobShape;
  readonly #locality: Locality;
  readonly #zones = new Map<Zone, ZoneTracker>();
  #lastAnnounceAt: Millis;

  constructor(shape: JobShape, locality: Locality, now: Millis) {
    this.#shape = shape;
    this.#locality = locality;
    this.#lastAnnounceAt = now;
  }

  /** Nobody announced for so long that the job may be forgotten. */
  isIdle(now: Millis): boolean {
    return now - this.#lastAnnounceAt >= config.tracker.jobIdleMs;
  }

  /** `announce` is of this job; its indices fit its own chunk count. */
  answer(announce: AddressedAnnounce, now: Millis, rng: Rng): AnnounceOutcome {
    this.#sweep(now);
    if (!this.#hasShapeOf(announce)) {
      if (this.#agentCount > 0) return { kind: 'different-manifest', manifestDigest: this.#shape.manifestDigest };
      this.#shape = shapeOf(announce);
    }
    const known = this.#zoneOf(announce);
    const row = known?.find(announce.agentId);
    if (row && isReplacedBoot(row, announce.bootId)) return { kind: 'replaced' };
    this.#lastAnnounceAt = now;
    if (announce.state === 'left') {
      if (row?.bootId === announce.bootId) known?.remove(announce.agentId, now);
      return { kind: 'answered', answer: this.#complete({ peers: [], leases: [], leaseInMs: undefined }) };
    }
    if (!row && this.#agentCount >= config.tracker.agentsMax) return { kind: 'full', what: 'agents' };
    const zone = this.#enter(announce, now);
    if (!zone) return { kind: 'full', what: 'zones' };
    if (known !== zone) known?.remove(announce.agentId, now);
    return { kind: 'answered', answer: this.#complete(zone.answer(announce, now, rng)) };
  }

  /** O(agents). */
  status(now: Millis): JobStatus {
    this.#sweep(now);
    const leases = { outstanding: 0, free: 0 };
    const agents: AgentStatus[] = [];
    for (const zone of this.#zones.values()) {
      leases.outstanding += zone.leases.outstanding;
      leases.free += zone.leases.free;
      for (const row of zone.rows) agents.push(agentStatus(row, now));
    }
    const { job, manifestDigest, chunkCount } = this.#shape;
    return { job, manifestDigest, chunkCount, agents, leases };
  }

  /** For tests and the simulator. O(agents x chunks). */
  assertInvariants(): void {
    for (const zone of this.#zones.values()) zone.assertInvariants();
  }

  get #agentCount(): number {
    let count = 0;
    for (const zone of this.#zones.values()) count += zone.size;
    return count;
  }

  /** An empty zone is forgotten with its ledger: whoever comes next finds all chunks free. */
  #sweep(now: Millis): void {
    for (const [name, zone] of this.#zones) {
      zone.sweep(now);
      if (zone.size === 0) this.#zones.delete(name);
    }
  }

  #hasShapeOf(announce: AddressedAnnounce): boolean {
    const { manifestDigest, chunkCount, chunkLengthBytes } = shapeOf(announce);
    return (
      manifestDigest === this.#shape.manifestDigest &&
      chunkCount === this.#shape.chunkCount &&
      chunkLengthBytes === this.#shape.chunkLengthBytes
    );
  }

  /** The zone in which the agent is known. An agent is in one zone only, but may move. */
  #zoneOf({ agentId }: AddressedAnnounce): ZoneTracker | undefined {
    for (const zone of this.#zones.values()) if (zone.find(agentId)) return zone;
    return undefined;
  }

  #enter(announce: AddressedAnnounce, now: Millis): ZoneTracker | undefined {
    const name = this.#locality === 'region' ? WHOLE_REGION : announce.zone;
    const known = this.#zones.get(name);
    if (known || this.#zones.size >= config.tracker.zonesMax) return known;
    const zone = new ZoneTracker(this.#shape, now);
    this.#zones.set(name, zone);
    return zone;
  }

  #complete(answer: Pick<AnnounceAnswer, 'peers' | 'leases' | 'leaseInMs'>): AnnounceAnswer {
    return { ...answer, announceInMs: config.announce.intervalMs, agentCount: this.#agentCount };
  }
}

/** The bytes that an announce speaks of. */
export function shapeOf(announce: AddressedAnnounce): JobShape {
  const { job, manifestDigest, chunkLengthBytes, have } = announce;
  return { job, manifestDigest, chunkCount: have.chunkCount, chunkLengthBytes };
}

function agentStatus(row: AgentRow, now: Millis): AgentStatus {
  return {
    ...peerEntry(row),
    state: row.state,
    haveCount: row.have.size,
    pullingCount: row.pulling.length,
    neighbourCount: row.neighbourCount,
    lastAnnounceAgoMs: now - row.lastAnnounceAt,
    progress: row.progress,
  };
}
