import { assert } from './assert.ts';
import { ChunkSet, lowestBit } from './chunk-set.ts';
import { fromHex, toHex } from './hex.ts';
import type { AgentId, BootId, ChunkIndex, Millis } from './ids.ts';

const WORD_BITS = 32;
const FULL_WORD = 0xffff_ffff;

/** Who holds a lease: one run of one agent. */
export type LeaseHolder = { readonly agentId: AgentId; readonly bootId: BootId };

/** A lease that is out. */
export type OutstandingLease = {
  readonly chunk: ChunkIndex;
  readonly holder: LeaseHolder;
  /** When the holder may start; `undefined` if it told us of the pull and we never gave a lease. */
  readonly startsAt: Millis | undefined;
  /** From this moment on the lease is nobody's. */
  readonly expiresAt: Millis;
};

/** The whole ledger as plain JSON: what a store keeps, one document for each job and zone. */
export type LedgerState = {
  readonly chunkCount: number;
  /** Hex, as a have-map. */
  readonly delivered: string;
  readonly leases: readonly OutstandingLease[];
};

/**
 * Who may pull what from the origin, in one zone of one job. Every chunk is free, leased to one holder, or delivered:
 * the origin has sent it to the zone. The ledger knows no roster: its owner says what became of holders and copies.
 */
export class LeaseLedger {
  readonly #leases = new Map<ChunkIndex, OutstandingLease>();
  readonly #byHolder = new Map<AgentId, Set<ChunkIndex>>();
  readonly #delivered: ChunkSet;
  /** Delivered or leased. */
  readonly #taken: ChunkSet;
  /** All words of `#taken` before this one are full. */
  #firstOpenWord = 0;
  /** No lease expires before this. */
  #soonestExpiryAt: Millis = Number.POSITIVE_INFINITY;

  constructor(chunkCount: number) {
    this.#delivered = new ChunkSet(chunkCount);
    this.#taken = new ChunkSet(chunkCount);
  }

  /** The state comes from our own store: one that does not fit is a bug. */
  static restore(state: LedgerState): LeaseLedger {
    const bytes = fromHex(state.delivered);
    const delivered = bytes && ChunkSet.fromBytes(state.chunkCount, bytes);
    assert(delivered !== undefined, 'the stored ledger fits its own chunk count');
    const ledger = new LeaseLedger(state.chunkCount);
    for (const chunk of delivered) ledger.deliver(chunk);
    for (const lease of state.leases) ledger.#put(lease);
    return ledger;
  }

  get state(): LedgerState {
    return {
      chunkCount: this.#taken.chunkCount,
      delivered: toHex(this.#delivered.toBytes()),
      leases: [...this.#leases.values()],
    };
  }

  get outstanding(): number {
    return this.#leases.size;
  }

  get freeCount(): number {
    return this.#taken.chunkCount - this.#taken.size;
  }

  get leases(): Iterable<OutstandingLease> {
    return this.#leases.values();
  }

  isDelivered(chunk: ChunkIndex): boolean {
    return this.#delivered.has(chunk);
  }

  /** The chunks that the agent's current run holds leases for. */
  heldBy(agentId: AgentId): readonly ChunkIndex[] {
    return [...(this.#byHolder.get(agentId) ?? [])];
  }

  heldCount(agentId: AgentId): number {
    return this.#byHolder.get(agentId)?.size ?? 0;
  }

  /** The first free chunks in index order, at most `limit`, without those the asker has. */
  freeChunks(asker: ChunkSet, limit: number): ChunkIndex[] {
    const free: ChunkIndex[] = [];
    const { words } = this.#taken;
    while (words[this.#firstOpenWord] === FULL_WORD) this.#firstOpenWord += 1;
    for (let word = this.#firstOpenWord; word < words.length; word += 1) {
      for (let open = ~((words[word] as number) | (asker.words[word] as number)); open !== 0; open &= open - 1) {
        const chunk = word * WORD_BITS + lowestBit(open);
        if (free.length >= limit || chunk >= this.#taken.chunkCount) return free;
        free.push(chunk);
      }
    }
    return free;
  }

  /** The chunk must be free. */
  grant(chunk: ChunkIndex, holder: LeaseHolder, span: { readonly startsAt: Millis; readonly expiresAt: Millis }): void {
    this.#put({ chunk, holder, ...span });
  }

  /**
   * The holder works on the chunk: its lease lives on until `expiresAt`. If the chunk is free, the lease is made: the
   * ledger was lost, or the lease had expired. Another holder's lease stays what it is, and so does a delivered chunk.
   */
  renew(chunk: ChunkIndex, holder: LeaseHolder, expiresAt: Millis): void {
    const lease = this.#leases.get(chunk);
    if (lease && isSameRun(lease.holder, holder)) {
      this.#leases.set(chunk, { ...lease, expiresAt: Math.max(lease.expiresAt, expiresAt) });
    } else if (!this.#taken.has(chunk)) {
      this.#put({ chunk, holder, startsAt: undefined, expiresAt });
    }
  }

  /** The holder gave the lease back, or is gone. */
  release(chunk: ChunkIndex): void {
    if (this.#drop(chunk)) this.#open(chunk);
  }

  releaseAllOf(agentId: AgentId): void {
    for (const chunk of this.heldBy(agentId)) this.release(chunk);
  }

  /** The chunk is in the zone. Returns its lease, if it was under one. */
  deliver(chunk: ChunkIndex): OutstandingLease | undefined {
    this.#delivered.add(chunk);
    this.#taken.add(chunk);
    return this.#drop(chunk);
  }

  /** All copies of a delivered chunk are gone. */
  lose(chunk: ChunkIndex): void {
    if (this.#delivered.delete(chunk)) this.#open(chunk);
  }

  /** Frees what expired. Costs nothing before the soonest expiry. */
  reclaimExpired(now: Millis): void {
    if (now < this.#soonestExpiryAt) return;
    let soonest = Number.POSITIVE_INFINITY;
    for (const lease of [...this.#leases.values()]) {
      if (lease.expiresAt <= now) this.release(lease.chunk);
      else soonest = Math.min(soonest, lease.expiresAt);
    }
    this.#soonestExpiryAt = soonest;
  }

  /** For tests and the simulator. */
  assertInvariants(): void {
    assert(this.#taken.size === this.#delivered.size + this.#leases.size, 'taken is delivered or leased, never both');
    let held = 0;
    for (const chunks of this.#byHolder.values()) held += chunks.size;
    assert(held === this.#leases.size, 'every lease has one holder');
    for (const lease of this.#leases.values()) {
      assert(this.#taken.has(lease.chunk) && !this.#delivered.has(lease.chunk), `lease of chunk ${lease.chunk}`);
      assert(lease.expiresAt >= this.#soonestExpiryAt, `expiry of chunk ${lease.chunk} is waited for`);
    }
  }

  #put(lease: OutstandingLease): void {
    assert(this.#taken.add(lease.chunk), `chunk ${lease.chunk} is free before it is leased`);
    this.#leases.set(lease.chunk, lease);
    const held = this.#byHolder.get(lease.holder.agentId);
    if (held) held.add(lease.chunk);
    else this.#byHolder.set(lease.holder.agentId, new Set([lease.chunk]));
    this.#soonestExpiryAt = Math.min(this.#soonestExpiryAt, lease.expiresAt);
  }

  #drop(chunk: ChunkIndex): OutstandingLease | undefined {
    const lease = this.#leases.get(chunk);
    if (!lease) return undefined;
    this.#leases.delete(chunk);
    const held = this.#byHolder.get(lease.holder.agentId);
    held?.delete(chunk);
    if (held?.size === 0) this.#byHolder.delete(lease.holder.agentId);
    return lease;
  }

  #open(chunk: ChunkIndex): void {
    this.#taken.delete(chunk);
    this.#firstOpenWord = Math.min(this.#firstOpenWord, chunk >>> 5);
  }
}

function isSameRun(one: LeaseHolder, other: LeaseHolder): boolean {
  return one.agentId === other.agentId && one.bootId === other.bootId;
}
