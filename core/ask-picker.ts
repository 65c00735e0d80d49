import { lowestBit, popCount } from './chunk-set.ts';
import type { Holdings } from './holdings.ts';
import type { ChunkIndex } from './ids.ts';
import type { Neighbour } from './neighbour.ts';
import type { Rng } from './rng.ts';

/** A chunk at random that the neighbour has verified and we lack, or `undefined`. */
export function pickAsk(holdings: Holdings, neighbour: Neighbour, rng: Rng): ChunkIndex | undefined {
  const lackedHere = (index: number): number => {
    const known = (holdings.have.words[index] as number) | (holdings.inFlight.words[index] as number);
    return ((neighbour.have.words[index] as number) & ~known) >>> 0;
  };
  let candidates = 0;
  for (let index = 0; index < neighbour.have.words.length; index += 1) candidates += popCount(lackedHere(index));
  if (candidates === 0) return undefined;
  let left = rng.below(candidates);
  for (let index = 0; index < neighbour.have.words.length; index += 1) {
    let word = lackedHere(index);
    const bits = popCount(word);
    if (bits <= left) {
      left -= bits;
      continue;
    }
    for (; left > 0; left -= 1) word &= word - 1;
    return index * 32 + lowestBit(word);
  }
  return undefined;
}
