import type { Millis } from '../core/ids.ts';

/**
 * The next moment of each of a set of numbered things (flows), changeable in place: the network moves the end of a
 * flow ten times before it comes, and stale entries in the event queue would outnumber the real ones.
 *
 * Order: by moment, then by number. A thing without a moment (`Infinity`) costs nothing.
 */
export class MomentHeap {
  #moments = new Float64Array(0);
  /** Where a thing stands in the heap; -1: not in it. */
  #places = new Int32Array(0);
  #heap = new Int32Array(0);
  #size = 0;

  get nextAt(): Millis {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#at(this.#heap[0] as number);
  }

  /** The thing whose moment comes first; -1 if there is none. */
  get first(): number {
    return this.#size === 0 ? -1 : (this.#heap[0] as number);
  }

  set(thing: number, moment: Millis): void {
    if (thing >= this.#places.length) this.#grow(thing + 1);
    const place = this.#places[thing] as number;
    if (moment === Number.POSITIVE_INFINITY) {
      if (place >= 0) this.#remove(place);
      return;
    }
    const before = this.#at(thing);
    this.#moments[thing] = moment;
    if (place < 0) {
      this.#size += 1;
      this.#rise(thing, this.#size - 1);
    } else if (moment < before) {
      this.#rise(thing, place);
    } else if (moment > before) {
      this.#sink(thing, place);
    }
  }

  #remove(place: number): void {
    this.#places[this.#heap[place] as number] = -1;
    this.#size -= 1;
    if (place === this.#size) return;
    const last = this.#heap[this.#size] as number;
    // It may belong further up than the gap, when the gap is in another branch.
    this.#rise(last, place);
    this.#sink(last, this.#places[last] as number);
  }

  #rise(thing: number, from: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent] as number;
      if (!this.#isBefore(thing, above)) break;
      this.#put(above, place);
      place = parent;
    }
    this.#put(thing, place);
  }

  #sink(thing: number, from: number): void {
    let place = from;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#size) break;
      const right = child + 1;
      if (right < this.#size && this.#isBefore(this.#heap[right] as number, this.#heap[child] as number)) child = right;
      const below = this.#heap[child] as number;
      if (!this.#isBefore(below, thing)) break;
      this.#put(below, place);
      place = child;
    }
    this.#put(thing, place);
  }

  #put(thing: number, place: number): void {
    this.#heap[place] = thing;
    this.#places[thing] = place;
  }

  #isBefore(a: number, b: number): boolean {
    const difference = this.#at(a) - this.#at(b);
    return difference < 0 || (difference === 0 && a < b);
  }

  #at(thing: number): Millis {
    return this.#moments[thing] as number;
  }

  #grow(needed: number): void {
    const capacity = Math.max(1024, this.#places.length * 2, needed);
    const moments = new Float64Array(capacity);
    moments.set(this.#moments);
    const places = new Int32Array(capacity).fill(-1);
    places.set(this.#places);
    const heap = new Int32Array(capacity);
    heap.set(this.#heap);
    this.#moments = moments;
    this.#places = places;
    this.#heap = heap;
  }
}
