import type { AgentId, ChunkIndex } from './ids.ts';

/** 32-bit FNV-1a of an id's UTF-16 code units (RFC 9923). Compute it once an agent, not once a chunk. */
export function agentHash(agent: AgentId): number {
  let hash = 0x811c_9dc5;
  for (let index = 0; index < agent.length; index += 1) {
    hash = Math.imul(hash ^ agent.charCodeAt(index), 0x0100_0193);
  }
  return hash >>> 0;
}

/**
 * Highest random weight (Thaler and Ravishankar 1998): every agent ranks the same agents in the same order for a
 * chunk without asking anybody. Returns how many of `others` stand before `self`: 0 is the first in order.
 */
export function rendezvousRank(chunk: ChunkIndex, self: number, others: Iterable<number>): number {
  const own = weight(chunk, self);
  let rank = 0;
  for (const other of others) {
    const theirs = weight(chunk, other);
    if (theirs > own || (theirs === own && other > self)) rank += 1;
  }
  return rank;
}

/** MurmurHash3's 32-bit finaliser over both (public domain, Appleby). */
function weight(chunk: ChunkIndex, agent: number): number {
  let hash = agent ^ Math.imul(chunk + 1, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
