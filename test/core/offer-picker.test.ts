import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkSet } from '../../core/chunk-set.ts';
import { type AgentId, parseAgentId, parseBootId, parseZone } from '../../core/ids.ts';
import { NeighbourSet } from '../../core/neighbour-set.ts';
import { pickOffer } from '../../core/offer-picker.ts';
import { seededRng } from '../../core/rng.ts';

const CHUNKS = 70;
const chunks = fc.uniqueArray(fc.integer({ min: 0, max: CHUNKS - 1 }));
const peer = fc.record({
  have: chunks,
  arriving: fc.uniqueArray(fc.integer({ min: 0, max: CHUNKS - 1 }), { maxLength: 5 }),
});

function hello(agentId: AgentId, have: readonly number[], arriving: readonly number[]) {
  const from = { agentId, bootId: parseBootId('b'), host: 'h', port: 1, zone: parseZone('z') };
  return { kind: 'hello' as const, from, have: ChunkSet.of(CHUNKS, have), arriving };
}

/** The dumb twin: everything that may be offered, written as the rules read. */
function allowedOffers(
  offerable: readonly number[],
  peers: readonly { have: readonly number[]; arriving: readonly number[] }[],
) {
  const allowed: { peer: number; chunk: number; receives: number }[] = [];
  for (const [index, { have, arriving }] of peers.entries()) {
    const receives = arriving.filter(chunk => !have.includes(chunk)).length;
    if (have.length === CHUNKS || receives >= 4) continue;
    for (const chunk of offerable) {
      if (!have.includes(chunk) && !arriving.includes(chunk)) allowed.push({ peer: index, chunk, receives });
    }
  }
  const fewest = Math.min(...allowed.map(offer => offer.receives));
  return allowed.filter(offer => offer.receives === fewest);
}

describe('pickOffer', () => {
  it('picks what the dumb twin allows, the rarest if it looks at all, and nothing only if nothing is allowed', () => {
    fc.assert(
      fc.property(chunks, fc.array(peer, { maxLength: 6 }), fc.integer(), (offerable, peers, seed) => {
        const neighbours = new NeighbourSet(CHUNKS);
        for (const [index, { have, arriving }] of peers.entries()) {
          neighbours.add(hello(parseAgentId(`p${index}`), have, arriving));
        }
        const limits = { downloadsMax: 4, perNeighbourMax: 1, rarestOf: 1 };
        const offer = pickOffer(ChunkSet.of(CHUNKS, offerable), neighbours, limits, 0, seededRng(seed));
        const allowed = allowedOffers(offerable, peers);
        if (!offer) {
          expect(allowed).toEqual([]);
          return;
        }
        const index = Number(offer.neighbour.entry.agentId.slice(1));
        expect(allowed.some(one => one.peer === index && one.chunk === offer.chunk)).toBe(true);
      }),
    );
  });

  it('prefers the rarer chunk when it draws enough candidates', () => {
    const neighbours = new NeighbourSet(CHUNKS);
    neighbours.add(hello(parseAgentId('p0'), [], []));
    neighbours.add(hello(parseAgentId('p1'), [0, 1, 2, 3], [10, 11, 12]));
    const limits = { downloadsMax: 9, perNeighbourMax: 1, rarestOf: 1000 };
    const offer = pickOffer(ChunkSet.of(CHUNKS, [0, 1, 2, 3, 42]), neighbours, limits, 0, seededRng(1));
    expect(offer?.neighbour.entry.agentId).toBe('p0');
    expect(offer?.chunk).toBe(42);
  });

  it('leaves a neighbour alone that said it is full, until then', () => {
    const neighbours = new NeighbourSet(CHUNKS);
    const neighbour = neighbours.add(hello(parseAgentId('p0'), [], []));
    neighbour.fullUntil = 50;
    const limits = { downloadsMax: 4, perNeighbourMax: 1, rarestOf: 2 };
    const offerable = ChunkSet.of(CHUNKS, [7]);
    expect(pickOffer(offerable, neighbours, limits, 49, seededRng(1))).toBeUndefined();
    expect(pickOffer(offerable, neighbours, limits, 50, seededRng(1))?.chunk).toBe(7);
  });
});

describe('NeighbourSet', () => {
  it('counts as many copies as a recount does, whatever was said', () => {
    const update = fc.record({ who: fc.nat(3), have: chunks, arriving: chunks, dropped: chunks });
    fc.assert(
      fc.property(fc.array(update, { maxLength: 30 }), fc.boolean(), (updates, removeOne) => {
        const neighbours = new NeighbourSet(CHUNKS);
        const peers = [0, 1, 2, 3].map(index => neighbours.add(hello(parseAgentId(`p${index}`), [index], [])));
        for (const { who, ...lists } of updates) {
          const neighbour = peers[who];
          if (neighbour) neighbours.apply(neighbour, { kind: 'update', ...lists });
        }
        if (removeOne) neighbours.remove(parseAgentId('p2'));
        for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
          const holders = neighbours.list.filter(one => one.have.has(chunk) || one.arriving.has(chunk));
          expect(neighbours.copies[chunk]).toBe(holders.length);
          expect(neighbours.list.some(one => one.have.has(chunk) && one.arriving.has(chunk))).toBe(false);
        }
      }),
    );
  });
});
