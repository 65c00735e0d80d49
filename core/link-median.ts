/** Below so many changes the median is worked out anew each time; above, when an eighth of the links has changed. */
const CHANGES_ALWAYS = 16;
const SHARE_CHANGED = 8;

/**
 * The median of the links of a roster, worked out only after enough of them have changed: a thousand joins cost some
 * sixty sorts, and the median is never off by more than an eighth of the agents.
 */
export class LinkMedian {
  #median: number | undefined;
  #count = 0;
  #changes = 0;

  changed(): void {
    this.#changes += 1;
  }

  /** `links` in any order; asked for only when the median is worked out, and then sorted in place. */
  median(links: () => number[]): number | undefined {
    if (this.#changes === 0) return this.#median;
    if (this.#count > CHANGES_ALWAYS && this.#changes * SHARE_CHANGED < this.#count) return this.#median;
    const sorted = links().sort((one, other) => one - other);
    this.#count = sorted.length;
    this.#changes = 0;
    this.#median = sorted[(sorted.length - 1) >>> 1];
    return this.#median;
  }
}
