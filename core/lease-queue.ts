import { config } from './config.ts';
import type { ChunkIndex, Millis } from './ids.ts';
import type { Lease } from './tracker-message.ts';

export type HeldLease = {
  readonly chunk: ChunkIndex;
  /** Pacing by the tracker, or back-off after a failure. */
  startAt: Millis;
  expiresAt: Millis;
  tries: number;
  isPulling: boolean;
  /** Given by the agent to itself, not by the tracker. */
  readonly isOwn: boolean;
};

/** The leases this agent holds: waiting for their start, or being pulled. */
export class LeaseQueue {
  readonly #byChunk = new Map<ChunkIndex, HeldLease>();
  #returned: ChunkIndex[] = [];

  get size(): number {
    return this.#byChunk.size;
  }

  get chunks(): readonly ChunkIndex[] {
    return [...this.#byChunk.keys()];
  }

  find(chunk: ChunkIndex): HeldLease | undefined {
    return this.#byChunk.get(chunk);
  }

  add(lease: Lease, now: Millis): void {
    const held = this.#byChunk.get(lease.chunk);
    if (held) {
      held.expiresAt = now + lease.expiresInMs;
      return;
    }
    this.#hold(lease.chunk, now + lease.startsInMs, now + lease.expiresInMs, false);
  }

  /** Without the tracker's word. */
  addOwn(chunk: ChunkIndex, now: Millis): void {
    this.#hold(chunk, now, now + config.lease.expiresMs, true);
  }

  /** The chunk is had. */
  fulfil(chunk: ChunkIndex): void {
    this.#byChunk.delete(chunk);
  }

  /** Not usable: the tracker hears of it with the next announce and gives it to another agent. */
  giveBack(chunk: ChunkIndex): void {
    // One of our own is no news for the tracker; without one nobody would ever take it from the list.
    if (this.#byChunk.get(chunk)?.isOwn === false) this.#returned.push(chunk);
    this.#byChunk.delete(chunk);
  }

  /** What to tell the tracker as returned; told once. */
  takeReturned(): readonly ChunkIndex[] {
    const returned = this.#returned;
    this.#returned = [];
    return returned;
  }

  /** An announce failed: the tracker did not hear of these. */
  putBack(returned: readonly ChunkIndex[]): void {
    this.#returned.push(...returned);
  }

  /** The tracker heard of all leases in `chunks`: they live on for `expiresInMs`. */
  renew(chunks: readonly ChunkIndex[], expiresAt: Millis): void {
    for (const chunk of chunks) {
      const lease = this.#byChunk.get(chunk);
      if (lease) lease.expiresAt = Math.max(lease.expiresAt, expiresAt);
    }
  }

  /** Waiting leases whose start has come, earliest first; those that expired meanwhile are dropped. */
  takeDue(now: Millis): readonly HeldLease[] {
    const due: HeldLease[] = [];
    for (const lease of this.#byChunk.values()) {
      if (lease.isPulling) continue;
      if (lease.expiresAt <= now) this.#byChunk.delete(lease.chunk);
      else if (lease.startAt <= now) due.push(lease);
    }
    return due.sort((one, other) => one.startAt - other.startAt || one.chunk - other.chunk);
  }

  /** When the next waiting lease starts. */
  nextStartAt(): Millis | undefined {
    let next: Millis | undefined;
    for (const lease of this.#byChunk.values()) {
      if (!lease.isPulling && (next === undefined || lease.startAt < next)) next = lease.startAt;
    }
    return next;
  }

  #hold(chunk: ChunkIndex, startAt: Millis, expiresAt: Millis, isOwn: boolean): void {
    this.#byChunk.set(chunk, { chunk, startAt, expiresAt, tries: 0, isPulling: false, isOwn });
  }
}
