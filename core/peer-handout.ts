import type { AgentRow } from './agent-row.ts';
import { config } from './config.ts';

const { neighboursAimed, neighboursMax } = config.graph;

/** Who asks for peers, and how many it wants. */
export type PeerAsk = {
  readonly row: AgentRow;
  readonly peersWanted: number;
  /** This is its first announce. */
  readonly isNewcomer: boolean;
};

/**
 * The peers to hand to an announcer, found among the first `peerDrawsMax` that are drawn. Also notes at both ends that
 * they will be neighbours.
 *
 * A newcomer gets half of what it wants, drawn evenly: the rest comes at its top-up 100 ms later, when the others of
 * its burst have joined too. Preferring agents with few neighbours already then would hand it those who came last
 * before it: a chain in join order (1.2x; field/policy.md). At a top-up they are preferred, so that nobody stays poor.
 *
 * @param drawn       the live agents that may trade with it, itself included, each once and in random order
 * @param memberCount how many there are
 *
 * Cost: O(peers handed out); O(peerDrawsMax) where few have room.
 */
export function pickPeers(ask: PeerAsk, drawn: Iterable<AgentRow>, memberCount: number): readonly AgentRow[] {
  const limit = handoutSize(ask, memberCount - 1);
  if (limit === 0) return [];
  const preferred: AgentRow[] = [];
  const others: AgentRow[] = [];
  let drawsLeft = config.tracker.peerDrawsMax;
  for (const candidate of drawn) {
    drawsLeft -= 1;
    if (drawsLeft < 0) break;
    if (!areUseful(ask.row, candidate) || candidate.expectedNeighbourCount >= neighboursMax) continue;
    const isPreferred = ask.isNewcomer || candidate.expectedNeighbourCount < neighboursAimed;
    if (isPreferred) preferred.push(candidate);
    else if (others.length < limit) others.push(candidate);
    if (preferred.length === limit) break;
  }
  const peers = [...preferred, ...others].slice(0, limit);
  ask.row.expectedNeighbourCount += peers.length;
  for (const peer of peers) peer.expectedNeighbourCount += 1;
  return peers;
}

function handoutSize({ row, peersWanted, isNewcomer }: PeerAsk, otherCount: number): number {
  const { peersPerAnswerMax } = config.tracker;
  if (peersWanted === 0) return 0;
  // In a small roster everybody knows everybody.
  if (otherCount <= neighboursAimed) return Math.min(otherCount, peersPerAnswerMax);
  if (isNewcomer) return Math.min(peersWanted, neighboursAimed / 2);
  // The tracker does not know who is connected to whom: some that it draws are neighbours already.
  const unknownCount = Math.max(1, otherCount - row.neighbourCount);
  return Math.min(Math.ceil((peersWanted * otherCount) / unknownCount), peersPerAnswerMax);
}

/** Two agents that have everything have nothing to give each other; nobody is its own peer. */
function areUseful(one: AgentRow, other: AgentRow): boolean {
  return one.agentId !== other.agentId && !(one.state === 'seeding' && other.state === 'seeding');
}
