import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isReplacedBoot, reportLost } from '../../core/agent-row.ts';
import { config } from '../../core/config.ts';
import { parseAgentId, parseBootId } from '../../core/ids.ts';
import { seededRng } from '../../core/rng.ts';
import { Roster } from '../../core/roster.ts';
import { type AnnounceDraft, announceOf } from './announce-of.ts';

const { silentMs, lostAloneAgents, lostReportsMs } = config.lease;

test('an agent joins once and is the same agent at every later announce', () => {
  const roster = new Roster(40);

  roster.put(announceOf('ann'), 0);
  roster.put(announceOf('ann', { have: [1] }), 1000);

  expect(roster.size).toBe(1);
  expect(roster.find(parseAgentId('ann'))).toMatchObject({ joinedAt: 0, lastAnnounceAt: 1000 });
});

test('a new boot of an agent takes the place of the old one, which is remembered', () => {
  const roster = new Roster(40);
  roster.put(announceOf('ann', { bootId: 'boot-1', have: [1, 2] }), 0);

  const { row, vanished } = roster.put(announceOf('ann', { bootId: 'boot-2' }), 1000);

  expect(roster.size).toBe(1);
  expect(row.joinedAt).toBe(1000);
  expect(vanished).toEqual([1, 2]);
  expect(isReplacedBoot(row, parseBootId('boot-1'))).toBe(true);
  expect(isReplacedBoot(row, parseBootId('boot-2'))).toBe(false);
  expect(isReplacedBoot(row, parseBootId('boot-3'))).toBe(false);
});

test('all of the last boots are remembered, not only the last one', () => {
  const roster = new Roster(40);
  for (const boot of ['boot-1', 'boot-2', 'boot-3']) roster.put(announceOf('ann', { bootId: boot }), 0);

  const { row } = roster.put(announceOf('ann', { bootId: 'boot-3' }), 0);

  expect(row.replacedBoots).toEqual(['boot-1', 'boot-2']);
});

test('those who were silent too long are named, the others not', () => {
  const roster = new Roster(40);
  roster.put(announceOf('ann'), 0);
  roster.put(announceOf('bob'), 1);
  roster.put(announceOf('ann'), 2);

  expect(roster.silent(silentMs)).toEqual([]);
  expect(roster.silent(silentMs + 1).map(row => row.agentId)).toEqual(['bob']);
  expect(roster.oldestAnnounceAt).toBe(1);
});

test('a chunk appears with its first copy and vanishes with its last', () => {
  const roster = new Roster(40);

  expect(roster.put(announceOf('ann', { have: [3, 33] }), 0).appeared).toEqual([3, 33]);
  expect(roster.put(announceOf('bob', { have: [3, 5] }), 0).appeared).toEqual([5]);
  expect(roster.put(announceOf('bob', { have: [3] }), 0).vanished).toEqual([5]);
  expect(roster.remove(parseAgentId('ann')).vanished).toEqual([33]);
  expect(roster.copies(3)).toBe(1);
});

test('an agent that goes on changing its own set does not change what the roster knows', () => {
  const roster = new Roster(40);
  const announce = announceOf('ann', { have: [1] });
  roster.put(announce, 0);

  announce.have.add(2);

  expect(roster.put(announce, 1).appeared).toEqual([2]);
});

describe('an agent reported as lost', () => {
  test('is lost at one word in a small zone', () => {
    const { row } = new Roster(40).put(announceOf('ann'), 0);

    expect(reportLost(row, parseAgentId('bob'), lostAloneAgents, 0)).toBe(true);
  });

  test('is lost at the word of two in a large one, not at that of one said twice', () => {
    const { row } = new Roster(40).put(announceOf('ann'), 0);

    expect(reportLost(row, parseAgentId('bob'), 100, 0)).toBe(false);
    expect(reportLost(row, parseAgentId('bob'), 100, 1)).toBe(false);
    expect(reportLost(row, parseAgentId('eve'), 100, 2)).toBe(true);
  });

  test('is not lost when the two words lie far apart', () => {
    const { row } = new Roster(40).put(announceOf('ann'), 0);

    expect(reportLost(row, parseAgentId('bob'), 100, 0)).toBe(false);
    expect(reportLost(row, parseAgentId('eve'), 100, lostReportsMs)).toBe(false);
  });

  test('is not lost when it has announced between the two', () => {
    const roster = new Roster(40);
    reportLost(roster.put(announceOf('ann'), 0).row, parseAgentId('bob'), 100, 0);

    const { row } = roster.put(announceOf('ann'), 1);

    expect(reportLost(row, parseAgentId('eve'), 100, 2)).toBe(false);
  });
});

test('the median link is that of the agents that told one, and stays right within an eighth of them', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined })), links => {
      const roster = new Roster(40);
      for (const [index, linkBytesPerSecond] of links.entries()) {
        roster.put(announceOf(`a-${index}`, { linkBytesPerSecond }), 0);
        void roster.medianLinkBytesPerSecond;
      }
      const told = links.flatMap(link => link ?? []).sort((one, other) => one - other);
      const middle = Math.floor((told.length - 1) / 2);
      const slack = Math.ceil(told.length / 8);
      const near = told.slice(Math.max(0, middle - slack), middle + slack + 1);
      expect(told.length === 0 ? [undefined] : near).toContain(roster.medianLinkBytesPerSecond);
    }),
  );
});

test('a random order names every agent once, and every agent comes first about equally often', () => {
  const roster = new Roster(40);
  for (let index = 0; index < 10; index += 1) roster.put(announceOf(`a-${index}`), 0);
  const rng = seededRng(7);
  const firsts = new Map<string, number>();

  for (let draw = 0; draw < 2000; draw += 1) {
    const order = [...roster.inRandomOrder(rng)].map(row => row.agentId);
    expect(new Set(order).size).toBe(10);
    firsts.set(order[0] ?? '', (firsts.get(order[0] ?? '') ?? 0) + 1);
  }

  // 200 expected each; 6 standard deviations are 80.
  expect(firsts.size).toBe(10);
  for (const times of firsts.values()) expect(Math.abs(times - 200)).toBeLessThan(80);
});

const draft: fc.Arbitrary<AnnounceDraft> = fc.record({
  bootId: fc.constantFrom('boot-1', 'boot-2'),
  have: fc.uniqueArray(fc.nat({ max: 39 })),
  leasesWanted: fc.nat({ max: 1 }),
  pulling: fc.constantFrom([], [1]),
});

test('all counts stay true, whatever agents say and whoever goes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 5 }), fc.option(draft), fc.nat())), steps => {
      const roster = new Roster(40);
      for (const [index, said, seed] of steps) {
        if (said) roster.put(announceOf(`a-${index}`, said), 0);
        else roster.remove(parseAgentId(`a-${index}`));
        for (const row of roster.inRandomOrder(seededRng(seed))) if (row.have.isFull) break;
        roster.assertInvariants();
      }
    }),
  );
});
