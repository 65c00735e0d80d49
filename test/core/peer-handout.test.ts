import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AgentRow } from '../../core/agent-row.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import { pickPeers } from '../../core/peer-handout.ts';
import { seededRng } from '../../core/rng.ts';
import { Roster } from '../../core/roster.ts';
import { type AnnounceDraft, announceOf } from './announce-of.ts';

const { neighboursAimed, neighboursMax } = config.graph;
const { peersPerAnswerMax, peerDrawsMax } = config.tracker;

describe('in a small roster', () => {
  test('everybody is handed to everybody, but nobody to itself', () => {
    const { roster, asker } = rosterOf(neighboursAimed + 1);

    const peers = ask(roster, asker, { peersWanted: 1, isNewcomer: true });

    expect(peers).toHaveLength(neighboursAimed);
    expect(peers).not.toContain(asker);
  });

  test('nobody is handed to an agent that wants none', () => {
    const { roster, asker } = rosterOf(5);

    expect(ask(roster, asker, { peersWanted: 0, isNewcomer: true })).toEqual([]);
  });
});

describe('in a large roster', () => {
  test('a newcomer gets half of what it aims for: the rest of its burst has not joined yet', () => {
    const { roster, asker } = rosterOf(200);

    expect(ask(roster, asker, { peersWanted: 32, isNewcomer: true })).toHaveLength(neighboursAimed / 2);
    expect(ask(roster, asker, { peersWanted: 3, isNewcomer: true })).toHaveLength(3);
  });

  test('at its top-up an agent gets some more than it wants, for the tracker does not know whom it knows already', () => {
    const { roster, asker } = rosterOf(101, { neighbourCount: 20 });

    expect(ask(roster, asker, { peersWanted: 12, isNewcomer: false })).toHaveLength(15);
  });

  test('at a top-up those with few neighbours come first, and the others only to fill up', () => {
    const { roster, asker } = rosterOf(200, { neighbourCount: neighboursAimed });
    const poor = ['p-1', 'p-2', 'p-3'].map(name => roster.put(announceOf(name), 0).row);

    const peers = ask(roster, asker, { peersWanted: 10, isNewcomer: false });

    expect(peers.length).toBeGreaterThanOrEqual(10);
    expect(peers).toEqual(expect.arrayContaining(poor));
  });

  test('a newcomer is handed rich and poor alike', () => {
    const { roster, asker } = rosterOf(2000, { neighbourCount: neighboursAimed });
    for (let index = 0; index < 2000; index += 1) roster.put(announceOf(`p-${index}`), 0);

    const rich = new Set<AgentRow>();
    for (let draw = 0; draw < 50; draw += 1) {
      const peers = ask(roster, asker, { peersWanted: 16, isNewcomer: true }, draw);
      for (const peer of peers) if (peer.agentId.startsWith('a-')) rich.add(peer);
    }

    // Half of 800 draws expected; 6 standard deviations are 85.
    expect(rich.size).toBeGreaterThan(300);
  });
});

test('an agent that is being handed out counts as richer, until it says itself how many neighbours it has', () => {
  const { roster, asker } = rosterOf(2);
  const other = [...roster.rows].find(row => row !== asker);

  ask(roster, asker, { peersWanted: 1, isNewcomer: true });

  expect(other?.expectedNeighbourCount).toBe(1);
  expect(asker.expectedNeighbourCount).toBe(1);
  expect(roster.put(announceOf('a-1'), 1).row.expectedNeighbourCount).toBe(0);
});

test('two agents that have everything are not handed to each other', () => {
  const complete = { state: 'seeding', have: ChunkSet.full(40) } as const;
  const { roster, asker } = rosterOf(2, complete);
  const lacking = roster.put(announceOf('l-1'), 0).row;

  expect(ask(roster, asker, { peersWanted: 9, isNewcomer: false })).toEqual([lacking]);
  expect(ask(roster, lacking, { peersWanted: 9, isNewcomer: false })).toHaveLength(2);
});

test('where few have room the search ends at its limit', () => {
  const { roster, asker } = rosterOf(2000, { neighbourCount: neighboursMax });
  let draws = 0;
  function* counted(): Generator<AgentRow> {
    for (const row of roster.inRandomOrder(seededRng(1))) {
      draws += 1;
      yield row;
    }
  }

  expect(pickPeers({ row: asker, peersWanted: 5, isNewcomer: false }, counted(), roster.size)).toEqual([]);
  expect(draws).toBeLessThanOrEqual(peerDrawsMax + 1);
});

test('whatever the roster, peers are distinct, have room, are no more than an answer holds, and never the asker', () => {
  const counts = fc.array(fc.nat({ max: neighboursMax + 5 }), { minLength: 1, maxLength: 150 });
  fc.assert(
    fc.property(counts, fc.nat({ max: 100 }), fc.boolean(), fc.nat(), (neighbours, peersWanted, isNewcomer, seed) => {
      const roster = new Roster(40);
      const rows = neighbours.map(
        (neighbourCount, index) => roster.put(announceOf(`a-${index}`, { neighbourCount }), 0).row,
      );
      const asker = rows[0] as AgentRow;
      const hadRoom = new Set(rows.filter(row => row.expectedNeighbourCount < neighboursMax));

      const peers = ask(roster, asker, { peersWanted, isNewcomer }, seed);

      expect(new Set(peers).size).toBe(peers.length);
      expect(peers).not.toContain(asker);
      expect(peers.every(peer => hadRoom.has(peer))).toBe(true);
      expect(peers.length).toBeLessThanOrEqual(peersPerAnswerMax);
    }),
  );
});

/** `count` agents that all said `draft`; the first of them asks. */
function rosterOf(count: number, draft: AnnounceDraft = {}): { roster: Roster; asker: AgentRow } {
  const roster = new Roster(40);
  const rows = Array.from({ length: count }, (_, index) => roster.put(announceOf(`a-${index}`, draft), 0).row);
  return { roster, asker: rows[0] as AgentRow };
}

function ask(
  roster: Roster,
  row: AgentRow,
  wish: { readonly peersWanted: number; readonly isNewcomer: boolean },
  seed = 1,
): readonly AgentRow[] {
  return pickPeers({ row, ...wish }, roster.inRandomOrder(seededRng(seed)), roster.size);
}
