import { beforeEach, describe, expect, test } from 'vitest';
import { type JobShape, type JobTracker, shapeOf } from '../../core/announce-answer.ts';
import { config } from '../../core/config.ts';
import { parseJobId } from '../../core/ids.ts';
import { seededRng } from '../../core/rng.ts';
import type { RosterStore } from '../../tracker/roster-store.ts';
import { announceOf } from '../core/announce-of.ts';

const { jobIdleMs, jobsMax } = config.tracker;

/** What every RosterStore does. `open` gives one that is empty and keeps the zones of a job apart. */
export function describeRosterStore(name: string, open: () => RosterStore): void {
  describe(`roster store: ${name}`, () => {
    let store: RosterStore;
    beforeEach(() => {
      store = open();
    });

    test('a job that nobody announced is not known', async () => {
      expect(await store.read(parseJobId('unknown'), 0, () => 'seen')).toBeUndefined();
    });

    test('what one change did is there for the next one, and for a reader', async () => {
      await store.change(shape('llama'), 0, join('ann', 0));

      expect(await store.change(shape('llama'), 1, agentsAt(1))).toEqual(['ann']);
      expect(await store.read(parseJobId('llama'), 1, agentsAt(1))).toEqual(['ann']);
    });

    test('changes made at one moment all count', async () => {
      const names = Array.from({ length: 50 }, (_, index) => `a-${index}`);

      await Promise.all(names.map(agent => store.change(shape('llama'), 0, join(agent, 0))));

      const known = await store.read(parseJobId('llama'), 0, agentsAt(0));
      expect([...(known ?? [])].sort()).toEqual([...names].sort());
    });

    test('leases of changes made at one moment are all different', async () => {
      const names = Array.from({ length: 30 }, (_, index) => `a-${index}`);

      const leased = await Promise.all(names.map(agent => store.change(shape('llama'), 0, lease(agent))));

      const chunks = leased.flatMap(each => (each === 'full' ? [] : [...each]));
      expect(chunks.length).toBeGreaterThan(1);
      expect(new Set(chunks).size).toBe(chunks.length);
    });

    test('jobs know nothing of each other', async () => {
      await store.change(shape('llama'), 0, join('ann', 0));
      await store.change(shape('video'), 0, join('bob', 0));

      expect(await store.read(parseJobId('llama'), 0, agentsAt(0))).toEqual(['ann']);
      expect(await store.read(parseJobId('video'), 0, agentsAt(0))).toEqual(['bob']);
    });

    test('a job is forgotten when nobody announced it for long, not before, and not because others are', async () => {
      await store.change(shape('llama'), 0, join('ann', 0));
      await store.change(shape('video'), 1, join('bob', 1));
      await store.change(shape('llama'), 2, join('ann', 2));

      expect(await store.read(parseJobId('video'), jobIdleMs, () => 'seen')).toBe('seen');
      expect(await store.read(parseJobId('video'), jobIdleMs + 1, () => 'seen')).toBeUndefined();
      expect(await store.read(parseJobId('llama'), jobIdleMs + 1, () => 'seen')).toBe('seen');
    });

    test('a decision that throws passes the error on, and the store goes on', async () => {
      const broken = store.change(shape('llama'), 0, () => {
        throw new RangeError('a defect');
      });

      await expect(broken).rejects.toThrow(RangeError);
      expect(await store.change(shape('llama'), 0, () => 'decided')).toBe('decided');
    });

    test('one job more than it may keep is refused; those it keeps are not', async () => {
      for (let index = 0; index < jobsMax; index += 1) await store.change(shape(`j-${index}`), 0, join('ann', 0));

      expect(await store.change(shape('one-more'), 1, () => 'decided')).toBe('full');
      expect(await store.change(shape('j-0'), 1, () => 'decided')).toBe('decided');
      expect(await store.change(shape('one-more'), jobIdleMs, () => 'decided')).toBe('decided');
    });
  });
}

function shape(job: string): JobShape {
  return shapeOf(announceOf('any', { job }));
}

function join(agentId: string, now: number): (record: JobTracker) => void {
  return record => {
    record.answer(announceOf(agentId), now, seededRng(1));
  };
}

/** On a known link several agents get a lease at one moment. */
function lease(agentId: string): (record: JobTracker) => readonly number[] {
  return record => {
    const outcome = record.answer(announceOf(agentId, { linkBytesPerSecond: 5e9 }), 0, seededRng(1));
    return outcome.kind === 'answered' ? outcome.answer.leases.map(({ chunk }) => chunk) : [];
  };
}

function agentsAt(now: number): (record: JobTracker) => readonly string[] {
  return record => record.status(now).agents.map(agent => agent.agentId);
}
