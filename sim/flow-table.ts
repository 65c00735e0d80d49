import type { Bytes, Millis } from '../core/ids.ts';

/** A flow's number; free for another flow as soon as it has ended. */
export type FlowId = number;
export type PortId = number;

/** `source` of a flow whose bytes all lie at the sender. */
export const NO_SOURCE = -1;
/** `source` of a flow whose own source broke: nothing more comes until somebody stops it. */
export const LOST_SOURCE = -2;

const FIRST_CAPACITY = 1024;

/**
 * The flows of a network, one typed array a field: a million of them come and go in a run, 25,000 at one time, and as
 * objects they would be most of the garbage. Rates are bytes a millisecond.
 */
export class FlowTable {
  from = new Int32Array(FIRST_CAPACITY);
  to = new Int32Array(FIRST_CAPACITY);
  totalBytes = new Float64Array(FIRST_CAPACITY);
  /** Sent until `at`; grows by `rate` since. */
  sentBytes = new Float64Array(FIRST_CAPACITY);
  at = new Float64Array(FIRST_CAPACITY);
  rate = new Float64Array(FIRST_CAPACITY);
  /** The flow's own cap: the share of the link that one connection reaches, 0 while it is cut off. */
  limit = new Float64Array(FIRST_CAPACITY);
  /** What it could run at if both its ports were empty: `limit`, or the rate of its source while it is held. */
  reach = new Float64Array(FIRST_CAPACITY);
  /** The flow that brings the bytes to the sender, {@link NO_SOURCE} or {@link LOST_SOURCE}. */
  source = new Int32Array(FIRST_CAPACITY);
  /** 1: it has caught up with its source and runs no faster than that. */
  held = new Uint8Array(FIRST_CAPACITY);
  /** Where it stands in the lists of its two ports. */
  placeFrom = new Int32Array(FIRST_CAPACITY);
  placeTo = new Int32Array(FIRST_CAPACITY);
  readonly dependents: (FlowId[] | undefined)[] = [];
  readonly #free: FlowId[] = [];
  #count = 0;

  /** Every field of the new flow is for the caller to set, but `dependents`. */
  take(): FlowId {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#count === this.from.length) this.#grow();
    this.#count += 1;
    return this.#count - 1;
  }

  release(flow: FlowId): void {
    this.dependents[flow] = undefined;
    this.#free.push(flow);
  }

  sentAt(flow: FlowId, now: Millis): Bytes {
    return (this.sentBytes[flow] as number) + (this.rate[flow] as number) * (now - (this.at[flow] as number));
  }

  settle(flow: FlowId, now: Millis): void {
    this.sentBytes[flow] = this.sentAt(flow, now);
    this.at[flow] = now;
  }

  addDependent(source: FlowId, flow: FlowId): void {
    const dependents = this.dependents[source];
    if (dependents) dependents.push(flow);
    else this.dependents[source] = [flow];
  }

  removeDependent(source: FlowId, flow: FlowId): void {
    const dependents = this.dependents[source];
    const place = dependents?.indexOf(flow) ?? -1;
    if (place >= 0) dependents?.splice(place, 1);
  }

  #grow(): void {
    const capacity = this.from.length * 2;
    this.from = grownInts(this.from, capacity);
    this.to = grownInts(this.to, capacity);
    this.totalBytes = grownFloats(this.totalBytes, capacity);
    this.sentBytes = grownFloats(this.sentBytes, capacity);
    this.at = grownFloats(this.at, capacity);
    this.rate = grownFloats(this.rate, capacity);
    this.limit = grownFloats(this.limit, capacity);
    this.reach = grownFloats(this.reach, capacity);
    this.source = grownInts(this.source, capacity);
    this.placeFrom = grownInts(this.placeFrom, capacity);
    this.placeTo = grownInts(this.placeTo, capacity);
    const held = new Uint8Array(capacity);
    held.set(this.held);
    this.held = held;
  }
}

function grownInts(array: Int32Array<ArrayBuffer>, capacity: number): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(capacity);
  grown.set(array);
  return grown;
}

function grownFloats(array: Float64Array<ArrayBuffer>, capacity: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(capacity);
  grown.set(array);
  return grown;
}
