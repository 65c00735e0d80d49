/** Seeded chance. Decisions never call `Math.random`: the same seed must give the same run. */
export type Rng = {
  /** Integer in 0..limit-1; `limit` >= 1. */
  below(limit: number): number;
};

/**
 * sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, passes BigCrush, a few integer operations a draw.
 * `seed` is any 32-bit integer; the state is mixed 12 rounds before the first draw.
 */
export function seededRng(seed: number): Rng {
  let a = 0;
  let b = seed | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  };
  for (let round = 0; round < 12; round += 1) next();
  // Multiply-shift (Lemire 2019) instead of modulo; the bias is limit / 2^32.
  return { below: limit => Math.floor((next() / 0x1_0000_0000) * limit) };
}

/** Fisher-Yates on a copy. */
export function shuffled<T>(items: readonly T[], rng: Rng): T[] {
  const copy = [...items];
  for (let last = copy.length - 1; last > 0; last -= 1) {
    const other = rng.below(last + 1);
    const held = copy[last] as T;
    copy[last] = copy[other] as T;
    copy[other] = held;
  }
  return copy;
}
