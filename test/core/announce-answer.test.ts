import { describe, expect, test } from 'vitest';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import type { AnnounceDraft } from './announce-of.ts';
import { TestJob } from './test-job.ts';

const { lease, tracker: limits } = config;
const ALL = ChunkSet.full(40);
/** Wants no leases: an agent that is only there. */
const idle: AnnounceDraft = { leasesWanted: 0 };

describe('joining and leaving', () => {
  test('an unknown agent joins, a repeated announce is a heartbeat, a late one joins again', () => {
    const job = new TestJob();

    expect(job.say('ann', 0).agentCount).toBe(1);
    expect(job.say('ann', 1000).agentCount).toBe(1);
    expect(job.say('bob', 1000 + lease.silentMs).agentCount).toBe(1);
    expect(job.say('ann', 1001 + lease.silentMs).agentCount).toBe(2);
  });

  test('an agent that leaves is gone at once', () => {
    const job = new TestJob();
    job.say('ann', 0);

    expect(job.say('bob', 1).peers.map(peer => peer.agentId)).toEqual(['ann']);
    job.say('ann', 2, { state: 'left' });
    expect(job.say('eve', 3).peers.map(peer => peer.agentId)).toEqual(['bob']);
  });

  test('a reused address is another agent: identity is agent and boot', () => {
    const job = new TestJob();
    job.say('ann', 0, { host: '10.0.0.1' });

    expect(job.say('bob', 1, { host: '10.0.0.1' }).agentCount).toBe(2);
  });

  test('a late announce of a replaced boot changes nothing', () => {
    const job = new TestJob();
    job.say('ann', 0, { bootId: 'old' });
    const [granted] = job.say('ann', 1, { bootId: 'new' }).leases;

    expect(job.hear('ann', 2, { bootId: 'old' })).toEqual({ kind: 'replaced' });
    expect(job.hear('ann', 3, { bootId: 'old', state: 'left' })).toEqual({ kind: 'replaced' });

    expect(job.status(4).agents).toMatchObject([{ bootId: 'new' }]);
    expect(granted).toBeDefined();
    expect(job.status(4).leases.outstanding).toBe(1);
  });

  test('an agent that moves to another zone is in that zone only', () => {
    const job = new TestJob();
    job.say('ann', 0, { zone: 'az1' });

    expect(job.say('ann', 1, { zone: 'az2' }).agentCount).toBe(1);
    expect(job.status(1).leases.outstanding).toBe(1);
  });
});

describe('zones', () => {
  test('each gets one copy of its own, and trades within', () => {
    const job = new TestJob('zone');
    job.say('ann', 0, { zone: 'az1' });

    const answer = job.say('bob', 0, { zone: 'az2' });

    expect(answer.leases.map(({ chunk }) => chunk)).toEqual([0]);
    expect(answer.peers).toEqual([]);
    expect(answer.agentCount).toBe(2);
  });

  test('share one copy and trade with each other when the borders are open', () => {
    const job = new TestJob('region');
    job.say('ann', 0, { zone: 'az1' });

    const answer = job.say('bob', 0, { zone: 'az2' });

    expect(answer.leases.map(({ chunk }) => chunk)).toEqual([1]);
    expect(answer.peers).toMatchObject([{ agentId: 'ann', zone: 'az1' }]);
  });
});

describe('refusals', () => {
  test('other bytes under the same job, while live agents share these', () => {
    const job = new TestJob();
    job.say('ann', 0);
    const other = { manifestDigest: 'cd'.repeat(32) };

    const refusal = { kind: 'different-manifest', manifestDigest: 'ab'.repeat(32) };
    expect(job.hear('bob', 1, other)).toEqual(refusal);
    expect(job.hear('bob', 1, { chunkCount: 41 })).toEqual(refusal);
    expect(job.hear('bob', 1, { chunkLengthBytes: 1 })).toEqual(refusal);
    expect(job.hear('bob', lease.silentMs, other)).toMatchObject({ kind: 'answered' });
  });

  test('more zones than one job may have', () => {
    const job = new TestJob();
    for (let zone = 0; zone < limits.zonesMax; zone += 1) job.say(`a-${zone}`, 0, { zone: `az-${zone}` });

    expect(job.hear('ann', 0, { zone: 'one-more' })).toEqual({ kind: 'full', what: 'zones' });
    expect(job.hear('a-0', 0, { zone: 'az-0' })).toMatchObject({ kind: 'answered' });
  });

  test('more agents than one job may have, but never one that is there', () => {
    const job = new TestJob();
    for (let index = 0; index < limits.agentsMax; index += 1) job.say(`a-${index}`, 0, { ...idle, peersWanted: 0 });

    expect(job.hear('ann', 0)).toEqual({ kind: 'full', what: 'agents' });
    expect(job.hear('a-0', 0)).toMatchObject({ kind: 'answered' });
    expect(job.hear('a-0', 0, { bootId: 'boot-2' })).toMatchObject({ kind: 'answered' });
  });
});

test('status shows every live agent with what it said last', () => {
  const job = new TestJob();
  job.say('ann', 0, { have: [1, 2], zone: 'az2', port: 7001 });
  job.say('bob', 500, { have: ALL, state: 'seeding', neighbourCount: 7 });

  expect(job.status(1000)).toMatchObject({
    job: 'llama-7',
    chunkCount: 40,
    agents: [
      { agentId: 'ann', zone: 'az2', port: 7001, state: 'fetching', haveCount: 2, lastAnnounceAgoMs: 1000 },
      { agentId: 'bob', zone: 'az1', state: 'seeding', haveCount: 40, neighbourCount: 7, lastAnnounceAgoMs: 500 },
    ],
    leases: { outstanding: 1, free: 37 },
  });
  expect(job.status(lease.silentMs).agents).toHaveLength(1);
});
