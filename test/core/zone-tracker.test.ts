import { describe, expect, test } from 'vitest';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import type { AnnounceDraft } from './announce-of.ts';
import { TestJob } from './test-job.ts';

const { lease } = config;
const ALL = ChunkSet.full(40);
/** Wants no leases: an agent that is only there. */
const idle: AnnounceDraft = { leasesWanted: 0 };

describe('a lease comes free', () => {
  /** `ann` holds the lease of chunk 0, and `bob` and others are there. */
  function leased(agentCount: number): TestJob {
    const job = new TestJob();
    expect(job.chunksOf('ann', 0, { leasesWanted: 1 })).toEqual([0]);
    for (let index = 1; index < agentCount; index += 1) job.say(`b-${index}`, 0, idle);
    return job;
  }

  test('when its holder leaves', () => {
    const job = leased(3);
    job.say('ann', 1, { state: 'left' });

    expect(job.chunksOf('b-1', 2, { leasesWanted: 1 })).toEqual([0]);
  });

  test('when its holder is silent', () => {
    const job = leased(3);
    job.say('b-1', 1, idle);

    expect(job.chunksOf('b-1', lease.silentMs, { leasesWanted: 1 })).toEqual([0]);
  });

  test('when its holder comes back as a new boot', () => {
    const job = leased(3);
    job.say('ann', 1, { ...idle, bootId: 'boot-2' });

    expect(job.chunksOf('b-1', 2, { leasesWanted: 1 })).toEqual([0]);
  });

  test('but is that of the new boot, if that pulls the same chunk already', () => {
    const job = leased(3);
    job.say('ann', 1, { ...idle, bootId: 'boot-2', pulling: [0] });
    job.say('ann', 2, { ...idle, bootId: 'boot-2' });

    expect(job.chunksOf('b-1', 2, { leasesWanted: 1 })).toEqual([0]);
  });

  test('when its holder does not know of it: the answer was lost', () => {
    const job = leased(3);
    job.say('ann', 1, { ...idle, pulling: [] });

    expect(job.chunksOf('b-1', 2, { leasesWanted: 1 })).toEqual([0]);
  });

  test('when its holder gives it back, which then gets another one', () => {
    const job = leased(3);

    expect(job.chunksOf('ann', 1, { returned: [0], leasesWanted: 1 })).toEqual([1]);
    expect(job.chunksOf('b-1', 2, { leasesWanted: 1 })).toEqual([0]);
  });

  test('when one neighbour reports its holder as lost in a small zone', () => {
    const job = leased(3);
    job.say('b-1', 1, { ...idle, lost: ['ann'] });

    expect(job.chunksOf('b-1', 2, { leasesWanted: 1 })).toEqual([0]);
  });

  test('when two neighbours report its holder as lost in a larger zone', () => {
    const job = leased(9);
    job.say('b-1', 1, { ...idle, lost: ['ann'] });
    expect(job.chunksOf('b-1', 2, { leasesWanted: 1, lost: ['ann'] })).toEqual([1]);

    job.say('b-2', 3, { ...idle, lost: ['ann'] });

    expect(job.chunksOf('b-3', 4, { leasesWanted: 1 })).toEqual([0]);
  });

  test('but not while its holder names it', () => {
    const job = leased(3);
    for (let now = 1000; now < 60_000; now += config.announce.intervalMs) {
      job.say('ann', now, { ...idle, pulling: [0] });
      job.say('b-1', now, idle);
    }

    expect(job.chunksOf('b-1', 60_000, { leasesWanted: 1 })).toEqual([1]);
  });

  test('but not at the word of its holder about itself, of a stranger, or of another zone', () => {
    const job = leased(3);
    job.say('ann', 1, { ...idle, pulling: [0], lost: ['ann', 'nobody'] });
    job.say('far', 2, { ...idle, zone: 'az2', lost: ['ann'] });

    expect(job.chunksOf('b-1', 3, { leasesWanted: 1 })).toEqual([1]);
  });

  test('and an agent that was reported as lost but lives joins again with what it still pulls', () => {
    const job = leased(3);
    job.say('b-1', 1, { ...idle, lost: ['ann'] });

    job.say('ann', 2, { ...idle, pulling: [0] });

    expect(job.chunksOf('b-1', 3, { leasesWanted: 1 })).toEqual([1]);
  });
});

describe('a chunk that is in the zone', () => {
  test('is leased to nobody', () => {
    const job = new TestJob();
    job.say('ann', 0, { have: [0, 1, 2] });

    expect(job.chunksOf('bob', 1)).toEqual([4]);
  });

  test('is not free for starving as long as a live agent has it', () => {
    const job = new TestJob();
    job.say('ann', 0, { ...idle, have: [0] });

    expect(job.chunksOf('bob', 1, { starving: [0] })).toEqual([1]);
  });

  test('is free again when agents starve for it and its last holder is gone', () => {
    const job = new TestJob();
    job.say('bob', 0, idle);
    job.say('ann', 0, { ...idle, have: [0] });
    job.say('ann', 1, { ...idle, state: 'left', have: [0] });

    expect(job.chunksOf('bob', 2, { leasesWanted: 1 })).toEqual([1]);
    expect(job.chunksOf('bob', 3, { leasesWanted: 1, starving: [0] })).toEqual([0]);
  });

  test('is free again when its last holder is gone and every live agent has said since that it has none', () => {
    const job = new TestJob();
    job.say('bob', 0, idle);
    job.say('eve', 0, idle);
    job.say('ann', 0, { ...idle, have: [0] });
    job.say('ann', 1, { ...idle, state: 'left', have: [0] });
    job.say('bob', 2, idle);
    expect(job.status(2).leases.free).toBe(39);

    job.say('eve', 3, idle);

    expect(job.status(3).leases.free).toBe(40);
  });

  test('stays when a live agent has got it from the last holder meanwhile', () => {
    const job = new TestJob();
    job.say('bob', 0, idle);
    job.say('ann', 0, { ...idle, have: [0] });
    job.say('ann', 1, { ...idle, state: 'left', have: [0] });

    job.say('bob', 2, { ...idle, have: [0] });

    expect(job.status(3).leases.free).toBe(39);
  });

  test('is forgotten with the last agent of the zone', () => {
    const job = new TestJob();
    job.say('ann', 0, { have: ALL, state: 'seeding' });
    job.say('ann', 1, { have: ALL, state: 'left' });

    expect(job.chunksOf('bob', 2)).toEqual([0]);
  });
});

describe('when to ask again', () => {
  test('a sole agent gets the whole window as soon as its first chunk shows the way', () => {
    const job = new TestJob();
    const { leases, leaseInMs } = job.say('ann', 0);
    expect(leases).toHaveLength(lease.newcomerMax);
    expect(leaseInMs).toBeLessThanOrEqual(lease.retryMs);

    expect(job.chunksOf('ann', 60, { have: [0] })).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('nothing is said when no chunk is free for the agent', () => {
    const job = new TestJob();
    job.say('ann', 0, { have: ALL, state: 'seeding', leasesWanted: 0 });

    expect(job.say('bob', 1).leaseInMs).toBeUndefined();
    expect(job.say('ann', 2, { have: ALL, state: 'seeding', leasesWanted: 0 }).leaseInMs).toBeUndefined();
  });

  test('an agent with its hands full hears that there is more', () => {
    const job = new TestJob();

    expect(job.say('ann', 0, { leasesWanted: 1 }).leaseInMs).toBeDefined();
    expect(job.say('ann', 1, { leasesWanted: 0, pulling: [0] }).leaseInMs).toBeDefined();
  });

  test('a chunk just given back is not given to the same agent at once, but later it is', () => {
    const job = new TestJob();
    const have = ChunkSet.of(
      40,
      Array.from({ length: 39 }, (_, index) => index + 1),
    );
    expect(job.chunksOf('ann', 0, { have })).toEqual([0]);

    expect(job.chunksOf('ann', 1, { have, returned: [0] })).toEqual([]);
    expect(job.chunksOf('ann', 2, { have })).toEqual([0]);
  });

  test('leases on known links carry their start', () => {
    const job = new TestJob();
    const fast = { linkBytesPerSecond: 5e9 };

    const starts = Array.from({ length: 30 }, (_, index) => job.say(`a-${index}`, 1000, fast)).flatMap(({ leases }) =>
      leases.map(({ startsInMs }) => startsInMs),
    );

    expect(starts).toEqual([0, ...starts.slice(1).sort((one, other) => one - other)]);
    expect(starts.at(-1)).toBe(lease.tokenAheadMs);
  });
});

describe('a machine far slower than the others', () => {
  const fast = { linkBytesPerSecond: 1e9 };
  const slow = { linkBytesPerSecond: 1e8 };

  test('gets no lease while another wants one', () => {
    const job = new TestJob();
    for (const name of ['ann', 'bob', 'eve']) job.say(name, 0, fast);

    expect(job.say('tom', 1000, slow)).toMatchObject({ leases: [], leaseInMs: undefined });
  });

  test('gets leases when it is alone', () => {
    expect(new TestJob().chunksOf('tom', 0, slow)).toEqual([0]);
  });

  test('gets leases when no other wants any', () => {
    const job = new TestJob();
    for (const name of ['ann', 'bob', 'eve']) job.say(name, 0, { ...fast, ...idle });

    expect(job.chunksOf('tom', 1000, slow)).toEqual([0]);
  });
});

describe('a tracker that forgot everything', () => {
  test('lets running agents tell what they pull before it gives new leases', () => {
    const job = new TestJob();
    const running = { neighbourCount: 2, leasesWanted: 9 };

    expect(job.say('ann', 0, { ...running, pulling: [0] })).toMatchObject({ leases: [], leaseInMs: lease.relearnMs });
    expect(job.chunksOf('bob', 1000, { ...running, pulling: [1] })).toEqual([]);
    expect(job.status(1000).leases.outstanding).toBe(2);

    expect(job.chunksOf('ann', lease.relearnMs, { ...running, have: [0] })).toEqual([2, 3, 4]);
  });

  test('does not take fresh or resumed agents for running ones', () => {
    expect(new TestJob().chunksOf('ann', 0)).toEqual([0]);
    expect(new TestJob().chunksOf('ann', 0, { have: [0, 1] })).toEqual([2]);
  });

  test('is not taken aback by a pull of a chunk that it has leased to another', () => {
    const job = new TestJob();
    job.say('ann', 0, { leasesWanted: 1 });
    job.say('bob', 1, { ...idle, pulling: [0] });

    expect(job.status(1).leases.outstanding).toBe(1);
    expect(job.chunksOf('bob', 2, { leasesWanted: 1 })).not.toContain(0);
  });
});
