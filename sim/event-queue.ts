import type { Millis } from '../core/ids.ts';

/** Children of a heap entry: 4 halves the depth of a binary heap, and siblings share a cache line. */
const ARITY = 4;
const FIRST_CAPACITY = 1024;

/**
 * What is still to happen, in a total order: by time, and among equal times in the order in which it was pushed. So a
 * run depends on nothing but its seed. A heap over typed arrays; the events themselves never move.
 *
 * Bounded by memory only: what fills it (messages under way, timers) is bounded by the limits of core.
 */
export class EventQueue<Event> {
  #times = new Float64Array(FIRST_CAPACITY);
  #sequences = new Float64Array(FIRST_CAPACITY);
  #slots = new Int32Array(FIRST_CAPACITY);
  readonly #events: (Event | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #size = 0;
  #pushed = 0;

  get size(): number {
    return this.#size;
  }

  /** When the next event happens; `Infinity` if there is none. */
  get nextAt(): Millis {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  push(at: Millis, event: Event): void {
    if (this.#size === this.#times.length) this.#grow();
    const slot = this.#freeSlots.pop() ?? this.#events.length;
    this.#events[slot] = event;
    const sequence = this.#pushed;
    this.#pushed += 1;
    const times = this.#times;
    let index = this.#size;
    this.#size += 1;
    while (index > 0) {
      const parent = ((index - 1) / ARITY) | 0;
      // A parent of equal time was pushed earlier and stays above.
      if ((times[parent] as number) <= at) break;
      this.#move(parent, index);
      index = parent;
    }
    times[index] = at;
    this.#sequences[index] = sequence;
    this.#slots[index] = slot;
  }

  /** Take the next event away; `undefined` if there is none. */
  take(): Event | undefined {
    if (this.#size === 0) return undefined;
    const slot = this.#slots[0] as number;
    const event = this.#events[slot];
    this.#events[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#size -= 1;
    if (this.#size > 0) this.#sinkLast();
    return event;
  }

  /** Put the last entry where the first was and let it sink to its place. */
  #sinkLast(): void {
    const last = this.#size;
    const at = this.#times[last] as number;
    const sequence = this.#sequences[last] as number;
    const slot = this.#slots[last] as number;
    let index = 0;
    for (;;) {
      const child = this.#earliestChild(index);
      if (child < 0 || !this.#isBefore(child, at, sequence)) break;
      this.#move(child, index);
      index = child;
    }
    this.#times[index] = at;
    this.#sequences[index] = sequence;
    this.#slots[index] = slot;
  }

  /** -1 if the entry has no child. */
  #earliestChild(index: number): number {
    const first = index * ARITY + 1;
    if (first >= this.#size) return -1;
    const end = Math.min(first + ARITY, this.#size);
    let best = first;
    for (let child = first + 1; child < end; child += 1) {
      if (this.#isBefore(child, this.#times[best] as number, this.#sequences[best] as number)) best = child;
    }
    return best;
  }

  #isBefore(index: number, at: Millis, sequence: number): boolean {
    const time = this.#times[index] as number;
    return time < at || (time === at && (this.#sequences[index] as number) < sequence);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] as number;
    this.#sequences[to] = this.#sequences[from] as number;
    this.#slots[to] = this.#slots[from] as number;
  }

  #grow(): void {
    const capacity = this.#times.length * 2;
    const times = new Float64Array(capacity);
    times.set(this.#times);
    const sequences = new Float64Array(capacity);
    sequences.set(this.#sequences);
    const slots = new Int32Array(capacity);
    slots.set(this.#slots);
    this.#times = times;
    this.#sequences = sequences;
    this.#slots = slots;
  }
}
