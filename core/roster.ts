import { type AddressedAnnounce, type AgentRow, isLeasing, isSilent, nextRow } from './agent-row.ts';
import { assert } from './assert.ts';
import { type ChunkSet, lowestBit } from './chunk-set.ts';
import type { AgentId, ChunkIndex, Millis } from './ids.ts';
import { LinkMedian } from './link-median.ts';
import type { Rng } from './rng.ts';

/** What an announce changed in the copies of chunks. */
export type CopyChange = {
  /** No agent had them before. */
  readonly appeared: readonly ChunkIndex[];
  /** No agent has them any more. */
  readonly vanished: readonly ChunkIndex[];
};

/**
 * The live agents that trade with each other, with what is asked of them all the time kept up to date: copies of each
 * chunk, agents that want leases, the typical link. A heartbeat costs O(chunks / 32), a random peer O(1).
 */
export class Roster {
  /** In the order of their last announce, so that the silent ones stand first. */
  readonly #rows = new Map<AgentId, AgentRow>();
  /** The same agents; the order means nothing, see `inRandomOrder`. */
  readonly #members: AgentId[] = [];
  readonly #places = new Map<AgentId, number>();
  /** Live agents that have the chunk. */
  readonly #copies: Uint16Array;
  readonly #links = new LinkMedian();
  #leasingCount = 0;

  constructor(chunkCount: number) {
    this.#copies = new Uint16Array(chunkCount);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Agents that want leases or work on some. */
  get leasingCount(): number {
    return this.#leasingCount;
  }

  /** Rated speed of the machine in the middle; `undefined` while none told its own. */
  get medianLinkBytesPerSecond(): number | undefined {
    return this.#links.median(() => this.#toldLinks());
  }

  /** When the agent that was silent longest announced; `undefined` for an empty roster. */
  get oldestAnnounceAt(): Millis | undefined {
    return this.#rows.values().next().value?.lastAnnounceAt;
  }

  get rows(): Iterable<AgentRow> {
    return this.#rows.values();
  }

  find(agentId: AgentId): AgentRow | undefined {
    return this.#rows.get(agentId);
  }

  copies(chunk: ChunkIndex): number {
    return this.#copies[chunk] as number;
  }

  /** Join, heartbeat, re-join, or the first word of a new boot. */
  put(announce: AddressedAnnounce, now: Millis): { readonly row: AgentRow } & CopyChange {
    const previous = this.#rows.get(announce.agentId);
    const row = nextRow(previous, announce, now);
    if (!previous) {
      this.#places.set(row.agentId, this.#members.length);
      this.#members.push(row.agentId);
    }
    this.#rows.delete(row.agentId);
    this.#rows.set(row.agentId, row);
    this.#recount(previous, row);
    return { row, ...this.#recountCopies(previous?.have, row.have) };
  }

  remove(agentId: AgentId): CopyChange {
    const row = this.#rows.get(agentId);
    if (!row) return { appeared: [], vanished: [] };
    this.#rows.delete(agentId);
    this.#giveUpPlace(agentId);
    this.#recount(row, undefined);
    return this.#recountCopies(row.have, undefined);
  }

  silent(now: Millis): readonly AgentRow[] {
    const silent: AgentRow[] = [];
    for (const row of this.#rows.values()) {
      if (!isSilent(row, now)) break;
      silent.push(row);
    }
    return silent;
  }

  /** Draws one agent after the other, each once (Fisher-Yates as far as it is asked for). The roster must not change meanwhile. */
  *inRandomOrder(rng: Rng): Generator<AgentRow> {
    for (let drawn = 0; drawn < this.#members.length; drawn += 1) {
      const other = drawn + rng.below(this.#members.length - drawn);
      const agentId = this.#members[other] as AgentId;
      this.#place(this.#members[drawn] as AgentId, other);
      this.#place(agentId, drawn);
      yield this.#rows.get(agentId) as AgentRow;
    }
  }

  /** For tests and the simulator. O(agents x chunks). */
  assertInvariants(): void {
    const rows = [...this.#rows.values()];
    assert(this.#members.length === rows.length && this.#places.size === rows.length, 'one place for each agent');
    assert(
      rows.every(row => this.#members[this.#places.get(row.agentId) ?? -1] === row.agentId),
      'every agent stands at its place',
    );
    assert(this.#leasingCount === rows.filter(isLeasing).length, 'agents that lease are counted');
    this.#copies.forEach((copies, chunk) => {
      assert(copies === rows.filter(row => row.have.has(chunk)).length, `copies of chunk ${chunk}`);
    });
  }

  #toldLinks(): number[] {
    return [...this.#rows.values()].flatMap(({ linkBytesPerSecond }) => linkBytesPerSecond ?? []);
  }

  #recount(before: AgentRow | undefined, after: AgentRow | undefined): void {
    this.#leasingCount += (after && isLeasing(after) ? 1 : 0) - (before && isLeasing(before) ? 1 : 0);
    if (before?.linkBytesPerSecond !== after?.linkBytesPerSecond) this.#links.changed();
  }

  #recountCopies(before: ChunkSet | undefined, after: ChunkSet | undefined): CopyChange {
    const appeared: ChunkIndex[] = [];
    const vanished: ChunkIndex[] = [];
    if (before === after) return { appeared, vanished };
    const words = Math.ceil(this.#copies.length / 32);
    for (let word = 0; word < words; word += 1) {
      const had = before?.words[word] ?? 0;
      const has = after?.words[word] ?? 0;
      for (let bits = (had ^ has) >>> 0; bits !== 0; bits &= bits - 1) {
        const chunk = word * 32 + lowestBit(bits);
        const isNew = ((has >>> (chunk & 31)) & 1) === 1;
        const copies = this.copies(chunk) + (isNew ? 1 : -1);
        this.#copies[chunk] = copies;
        if (isNew && copies === 1) appeared.push(chunk);
        if (!isNew && copies === 0) vanished.push(chunk);
      }
    }
    return { appeared, vanished };
  }

  #giveUpPlace(agentId: AgentId): void {
    const place = this.#places.get(agentId) as number;
    const last = this.#members.pop() as AgentId;
    this.#places.delete(agentId);
    if (last !== agentId) this.#place(last, place);
  }

  #place(agentId: AgentId, place: number): void {
    this.#members[place] = agentId;
    this.#places.set(agentId, place);
  }
}
