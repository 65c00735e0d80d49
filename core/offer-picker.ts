import { type ChunkSet, lowestBit, popCount } from './chunk-set.ts';
import type { ChunkIndex, Millis } from './ids.ts';
import type { Neighbour } from './neighbour.ts';
import type { NeighbourSet } from './neighbour-set.ts';
import type { Rng } from './rng.ts';

export type OfferLimits = {
  /** A neighbour that receives so many chunks is left alone. */
  readonly downloadsMax: number;
  /** Offers and uploads of ours to one neighbour. */
  readonly perNeighbourMax: number;
  /** Candidates drawn at random, of which the rarest is taken; 1 is random choice, `Infinity` rarest first. */
  readonly rarestOf: number;
};

export type Offer = { readonly neighbour: Neighbour; readonly chunk: ChunkIndex };

/**
 * What to offer next with a free upload slot, or `undefined` if no neighbour lacks anything we can pass on.
 *
 * The receiver first: of the neighbours that can take something, the one that receives the fewest chunks now; the scan
 * starts at a random one, so that ties spread. Then the chunk: the rarest of `rarestOf` drawn at random from what it
 * neither has nor receives. Pure rarest-first makes all holders push the newest chunk (design section 5.5).
 *
 * @param offerable what we have, and what we receive and can pass on; same shape as the neighbours' sets
 * Cost: O(neighbours + candidates checked x chunkCount / 32), no allocation but the result.
 * Source: sender offers beat receiver pull on shaped links (field/prototype.md, 1.13-1.2 against 1.24-1.58).
 */
export function pickOffer(
  offerable: ChunkSet,
  neighbours: NeighbourSet,
  limits: OfferLimits,
  now: Millis,
  rng: Rng,
): Offer | undefined {
  const count = neighbours.list.length;
  if (count === 0 || offerable.isEmpty) return undefined;
  const start = rng.below(count);
  let receiver: Neighbour | undefined;
  for (let step = 0; step < count; step += 1) {
    const neighbour = neighbours.list[(start + step) % count] as Neighbour;
    if (receiver && neighbour.arriving.size >= receiver.arriving.size) continue;
    if (canTake(neighbour, limits, now) && lacksAny(offerable, neighbour)) receiver = neighbour;
  }
  if (!receiver) return undefined;
  return { neighbour: receiver, chunk: pickChunk(offerable, receiver, neighbours.copies, limits.rarestOf, rng) };
}

function canTake(neighbour: Neighbour, limits: OfferLimits, now: Millis): boolean {
  if (neighbour.isSeed || neighbour.arriving.size >= limits.downloadsMax) return false;
  return now >= neighbour.fullUntil && neighbour.offers.size + neighbour.uploadCount < limits.perNeighbourMax;
}

function lacksAny(offerable: ChunkSet, neighbour: Neighbour): boolean {
  for (let index = 0; index < offerable.words.length; index += 1)
    if (lackedWord(offerable, neighbour, index)) return true;
  return false;
}

function lackedWord(offerable: ChunkSet, neighbour: Neighbour, index: number): number {
  const known = (neighbour.have.words[index] as number) | (neighbour.arriving.words[index] as number);
  return ((offerable.words[index] as number) & ~known) >>> 0;
}

function pickChunk(
  offerable: ChunkSet,
  neighbour: Neighbour,
  copies: Uint16Array,
  rarestOf: number,
  rng: Rng,
): ChunkIndex {
  let candidates = 0;
  for (let index = 0; index < offerable.words.length; index += 1) {
    candidates += popCount(lackedWord(offerable, neighbour, index));
  }
  let rarest = nthLacked(offerable, neighbour, rng.below(candidates));
  for (let draw = 1; draw < Math.min(rarestOf, candidates); draw += 1) {
    const other = nthLacked(offerable, neighbour, rng.below(candidates));
    if ((copies[other] as number) < (copies[rarest] as number)) rarest = other;
  }
  return rarest;
}

/** The `position`-th chunk, 0-based and ascending, that the neighbour lacks and we can offer. */
function nthLacked(offerable: ChunkSet, neighbour: Neighbour, position: number): ChunkIndex {
  let left = position;
  let index = 0;
  let word = lackedWord(offerable, neighbour, 0);
  for (let bits = popCount(word); bits <= left; bits = popCount(word)) {
    left -= bits;
    index += 1;
    word = lackedWord(offerable, neighbour, index);
  }
  for (; left > 0; left -= 1) word &= word - 1;
  return index * 32 + lowestBit(word);
}
