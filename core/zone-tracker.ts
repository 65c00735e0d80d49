import { type AddressedAnnounce, type AgentRow, isLeasing, peerEntry, reportLost } from './agent-row.ts';
import { assert } from './assert.ts';
import { config } from './config.ts';
import type { AgentId, Bytes, ChunkIndex, Millis } from './ids.ts';
import { LeaseClock, tokenMsOf, type ZoneLoad } from './lease-clock.ts';
import { LeaseLedger } from './lease-ledger.ts';
import { OriginEstimate } from './origin-estimate.ts';
import { pickPeers } from './peer-handout.ts';
import type { PeerEntry } from './peer-message.ts';
import type { Rng } from './rng.ts';
import { type CopyChange, Roster } from './roster.ts';
import type { Lease } from './tracker-message.ts';

/** What one announce is answered with, as far as one zone knows. */
export type ZoneAnswer = {
  readonly peers: readonly PeerEntry[];
  readonly leases: readonly Lease[];
  readonly leaseInMs: Millis | undefined;
};

type ZoneJob = { readonly chunkCount: number; readonly chunkLengthBytes: Bytes };

/** The agents of one job that trade with each other, and the leases they share: the origin feeds them one copy. */
export class ZoneTracker {
  readonly #job: ZoneJob;
  readonly #roster: Roster;
  readonly #ledger: LeaseLedger;
  readonly #clock = new LeaseClock(new OriginEstimate());
  readonly #createdAt: Millis;
  /** No lease before this: running agents tell first what they pull. */
  #leasesFrom: Millis = 0;
  /** Dropped at the word of others while the zone was young; at most as many as joined meanwhile. */
  readonly #dropped = new Set<AgentId>();
  /** When a delivered chunk last lost the only copy we had heard of. */
  #vanishedAt: Millis | undefined;

  constructor(job: ZoneJob, now: Millis) {
    this.#job = job;
    this.#createdAt = now;
    this.#roster = new Roster(job.chunkCount);
    this.#ledger = new LeaseLedger(job.chunkCount);
  }

  get size(): number {
    return this.#roster.size;
  }

  get rows(): Iterable<AgentRow> {
    return this.#roster.rows;
  }

  get leases(): { readonly outstanding: number; readonly free: number } {
    return { outstanding: this.#ledger.outstanding, free: this.#ledger.freeCount };
  }

  find(agentId: AgentId): AgentRow | undefined {
    return this.#roster.find(agentId);
  }

  /** Let time pass: drop who is silent, free what expired or died with its last holder. Cheap when nothing did. */
  sweep(now: Millis): void {
    for (const row of this.#roster.silent(now)) this.remove(row.agentId, now);
    this.#ledger.reclaimExpired(now);
    const oldestAnnounceAt = this.#roster.oldestAnnounceAt;
    if (this.#vanishedAt === undefined || oldestAnnounceAt === undefined || oldestAnnounceAt <= this.#vanishedAt)
      return;
    // Every live agent has spoken since, and none has got a copy from the last holder that we knew.
    this.#vanishedAt = undefined;
    for (let chunk = 0; chunk < this.#job.chunkCount; chunk += 1) this.#loseIfGone(chunk);
  }

  /** The agent left, is silent, or lost. */
  remove(agentId: AgentId, now: Millis): void {
    this.#ledger.releaseAllOf(agentId);
    this.#note(this.#roster.remove(agentId), undefined, now);
  }

  /** Take in what a live agent says and answer it. */
  answer(announce: AddressedAnnounce, now: Millis, rng: Rng): ZoneAnswer {
    const previous = this.#roster.find(announce.agentId);
    const isNewcomer = previous?.bootId !== announce.bootId;
    if (previous === undefined) this.#relearn(announce);
    else if (isNewcomer) this.#ledger.releaseAllOf(announce.agentId);
    const { row, ...change } = this.#roster.put(announce, now);
    this.#note(change, row, now);
    this.#settleLeases(announce, now);
    for (const chunk of announce.starving) this.#loseIfGone(chunk);
    for (const agentId of announce.lost) this.#reportLost(agentId, announce.agentId, now);
    const peers = pickPeers(
      { row, peersWanted: announce.peersWanted, isNewcomer },
      this.#roster.inRandomOrder(rng),
      this.#roster.size,
    );
    return { peers: peers.map(peerEntry), ...this.#lease(row, announce.returned, isNewcomer, now) };
  }

  /** For tests and the simulator. O(agents x chunks). */
  assertInvariants(): void {
    this.#roster.assertInvariants();
    this.#ledger.assertInvariants();
    for (let chunk = 0; chunk < this.#job.chunkCount; chunk += 1) {
      assert(this.#roster.copies(chunk) === 0 || this.#ledger.isDelivered(chunk), `chunk ${chunk} is in the zone`);
    }
    for (const { holder } of this.#ledger.leases) {
      assert(this.#roster.find(holder.agentId)?.bootId === holder.bootId, `${holder.agentId} lives and holds leases`);
    }
  }

  /**
   * A zone that we have just begun to know, and an agent that has neighbours or pulls already: we forgot a running
   * swarm. What others pull we shall hear within an announce interval; a lease before that would send the same chunk
   * twice. Resting costs little, for the agents go on trading what they have. Agents that only HAVE chunks (resumed
   * after a crash) prove nothing of the kind, nor do those that we dropped ourselves: they start at once.
   */
  #relearn(announce: AddressedAnnounce): void {
    const isRunning = announce.neighbourCount > 0 || announce.pulling.length > 0;
    if (isRunning && !this.#dropped.has(announce.agentId)) {
      this.#leasesFrom = this.#createdAt + config.lease.relearnMs;
    }
  }

  #note({ appeared, vanished }: CopyChange, announcer: AgentRow | undefined, now: Millis): void {
    for (const chunk of appeared) {
      const lease = this.#ledger.deliver(chunk);
      if (!lease) continue;
      const isFromHolder = lease.holder.agentId === announcer?.agentId && lease.startsAt !== undefined;
      this.#clock.estimate.completed(isFromHolder ? Math.max(0, now - lease.startsAt) : undefined, now);
    }
    // The last holder may have passed the chunk on to agents whose word is older: ask them before the origin.
    if (vanished.length > 0) this.#vanishedAt = now;
  }

  /** The agent's own word on its leases: those it names live on, the others it gave back or never heard of. */
  #settleLeases(announce: AddressedAnnounce, now: Millis): void {
    const kept = new Set(announce.pulling);
    for (const chunk of announce.returned) kept.delete(chunk);
    for (const chunk of this.#ledger.heldBy(announce.agentId)) if (!kept.has(chunk)) this.#ledger.release(chunk);
    const holder = { agentId: announce.agentId, bootId: announce.bootId };
    for (const chunk of kept) this.#ledger.renew(chunk, holder, now + config.lease.expiresMs);
  }

  #loseIfGone(chunk: ChunkIndex): void {
    if (this.#roster.copies(chunk) === 0) this.#ledger.lose(chunk);
  }

  #reportLost(agentId: AgentId, reporter: AgentId, now: Millis): void {
    const row = this.#roster.find(agentId);
    if (!row || agentId === reporter) return;
    if (!reportLost(row, reporter, this.#roster.size, now)) return;
    // If it lives after all, its next announce is a re-join and tells what it still pulls.
    this.remove(agentId, now);
    if (now < this.#createdAt + config.lease.relearnMs) this.#dropped.add(agentId);
  }

  /** As many leases as the clock allows now, and when to ask again. */
  #lease(
    row: AgentRow,
    returned: readonly ChunkIndex[],
    isNewcomer: boolean,
    now: Millis,
  ): { readonly leases: readonly Lease[]; readonly leaseInMs: Millis | undefined } {
    const free = this.#freeFor(row, returned);
    if (free.length > 0 && !this.#mayPull(row)) return { leases: [], leaseInMs: undefined };
    if (free.length > 0 && now < this.#leasesFrom) return { leases: [], leaseInMs: this.#leasesFrom - now };
    const { leasesWanted, ticket } = row;
    const held = this.#ledger.heldCount(row.agentId);
    const ask = { wanted: Math.min(leasesWanted, free.length), held, isNewcomer, ticket };
    const starts = this.#clock.takeStarts(ask, this.#load, now);
    const leases = starts.map((startsAt, index) => this.#grant(free[index] as ChunkIndex, row, startsAt, now));
    assert(leases.length === 0 || this.#ledger.outstanding <= this.#clock.window(this.#tokenMs), 'window kept');
    row.ticket = undefined;
    if (free.length === leases.length) return { leases, leaseInMs: undefined };
    // It has its hands full: it asks again when one of its leases ends.
    if (leasesWanted === leases.length) return { leases, leaseInMs: config.lease.retryMs };
    row.ticket = this.#clock.ticketFor(leases.length === 0 ? ask : { ...ask, ticket: undefined }, this.#load, now);
    return { leases, leaseInMs: this.#clock.waitMs(row.ticket, this.#load, now) };
  }

  #grant(chunk: ChunkIndex, row: AgentRow, startsAt: Millis, now: Millis): Lease {
    const expiresAt = startsAt + config.lease.expiresMs;
    this.#ledger.grant(chunk, { agentId: row.agentId, bootId: row.bootId }, { startsAt, expiresAt });
    return { chunk, startsInMs: startsAt - now, expiresInMs: expiresAt - now };
  }

  /** Free chunks for the agent, one more than it wants if there are; not those that it just failed to pull. */
  #freeFor(row: AgentRow, returned: readonly ChunkIndex[]): readonly ChunkIndex[] {
    const wanted = Math.min(row.leasesWanted, config.lease.outstandingMax) + 1;
    const free = this.#ledger.freeChunks(row.have, wanted + returned.length);
    return free.filter(chunk => !returned.includes(chunk)).slice(0, wanted);
  }

  /** A machine well below the typical link holds a fresh chunk back from all others: it pulls only if no other would. */
  #mayPull(row: AgentRow): boolean {
    if (!this.#isSlow(row)) return true;
    for (const other of this.#roster.rows) {
      if (other.agentId !== row.agentId && isLeasing(other) && !this.#isSlow(other)) return false;
    }
    return true;
  }

  #isSlow({ linkBytesPerSecond }: AgentRow): boolean {
    const median = this.#roster.medianLinkBytesPerSecond;
    if (linkBytesPerSecond === undefined || median === undefined) return false;
    return linkBytesPerSecond * 100 < median * config.lease.slowLinkPercent;
  }

  get #tokenMs(): Millis | undefined {
    return tokenMsOf(this.#job.chunkLengthBytes, this.#roster.medianLinkBytesPerSecond);
  }

  get #load(): ZoneLoad {
    return {
      outstanding: this.#ledger.outstanding,
      agentCount: this.#roster.size,
      leasingCount: this.#roster.leasingCount,
      tokenMs: this.#tokenMs,
    };
  }
}
