import { expect, test } from 'vitest';
import { JobTracker, shapeOf } from '../../core/announce-answer.ts';
import { config } from '../../core/config.ts';
import { seededRng, shuffled } from '../../core/rng.ts';
import { announceOf } from './announce-of.ts';

const { neighboursAimed, neighboursMax, topUpAfterMs } = config.graph;

/**
 * Agents that join at one moment and ask for more 100 ms later; each dials whom it is handed until it has what it aims
 * for, and takes who dials it up to its maximum. `dialling` is when the links of the first answers are made.
 */
function graphOf(agentCount: number, dialling: 'at-once' | 'after-all-joined', seed: number): ReadonlySet<number>[] {
  const rng = seededRng(seed);
  const tracker = new JobTracker(shapeOf(announceOf('any')), 'zone', 0);
  const links = Array.from({ length: agentCount }, () => new Set<number>());
  const dial = ([from, peers]: readonly [number, readonly number[]]): void => {
    for (const to of peers) {
      const [own, other] = [links[from], links[to]];
      if (!own || !other || own.size >= neighboursAimed || other.size >= neighboursMax) continue;
      own.add(to);
      other.add(from);
    }
  };
  const ask = (agent: number, now: number): readonly [number, readonly number[]] => {
    const neighbourCount = links[agent]?.size ?? 0;
    const peersWanted = Math.max(0, neighboursAimed - neighbourCount);
    const outcome = tracker.answer(announceOf(`a-${agent}`, { neighbourCount, peersWanted }), now, rng);
    const peers = outcome.kind === 'answered' ? outcome.answer.peers : [];
    return [agent, peers.map(peer => Number(peer.agentId.slice(2)))];
  };
  const waiting: (readonly [number, readonly number[]])[] = [];
  for (let agent = 0; agent < agentCount; agent += 1) {
    const handed = ask(agent, 0);
    if (dialling === 'at-once') dial(handed);
    else waiting.push(handed);
  }
  for (const handed of shuffled(waiting, rng)) dial(handed);
  for (const agent of shuffled([...links.keys()], rng)) dial(ask(agent, topUpAfterMs));
  return links;
}

/** Links between the agent and each other that can be reached. */
function depthsFrom(agent: number, links: readonly ReadonlySet<number>[]): readonly number[] {
  const depths = new Map([[agent, 0]]);
  for (const [reached, depth] of depths) {
    for (const peer of links[reached] ?? []) if (!depths.has(peer)) depths.set(peer, depth + 1);
  }
  return [...depths.values()];
}

test.each([
  ['at-once', 1],
  ['at-once', 2],
  ['after-all-joined', 3],
  ['after-all-joined', 4],
] as const)(
  'a thousand agents that join together and dial %s become a graph that is no chain (seed %i)',
  (dialling, seed) => {
    const links = graphOf(1000, dialling, seed);

    expect(Math.min(...links.map(peers => peers.size))).toBeGreaterThanOrEqual(16);
    expect(Math.max(...links.map(peers => peers.size))).toBeLessThanOrEqual(neighboursMax);
    for (const end of [0, 999]) {
      const depths = depthsFrom(end, links);
      expect(depths).toHaveLength(1000);
      // A random graph of 1,000 with 32 links each has depth 3 and a mean of 2.2; a chain in join order has 30 and more.
      expect(Math.max(...depths)).toBeLessThanOrEqual(4);
      expect(depths.reduce((sum, depth) => sum + depth, 0) / 1000).toBeLessThan(2.6);
    }
  },
);

test.each([2, 5, 33])('%i agents that join together all know each other', agentCount => {
  const links = graphOf(agentCount, 'at-once', 1);

  expect(links.every(peers => peers.size === agentCount - 1)).toBe(true);
});
