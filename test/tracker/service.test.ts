import { expect, test } from 'vitest';
import type { Locality } from '../../core/announce-answer.ts';
import { config } from '../../core/config.ts';
import { parseJobId } from '../../core/ids.ts';
import { seededRng } from '../../core/rng.ts';
import { MemoryRosterStore } from '../../tracker/memory-roster-store.ts';
import { TrackerService } from '../../tracker/service.ts';
import { announceOf } from '../core/announce-of.ts';

test('agents of one job meet, and no chunk is leased to two of them', async () => {
  const service = newService();

  const ann = await service.announce(announceOf('ann'), 0);
  const bob = await service.announce(announceOf('bob'), 1);

  expect(ann).toMatchObject({ answer: { peers: [], leases: [{ chunk: 0 }], agentCount: 1 } });
  expect(bob).toMatchObject({ answer: { peers: [{ agentId: 'ann' }], leases: [{ chunk: 1 }], agentCount: 2 } });
});

test('agents of different jobs do not meet', async () => {
  const service = newService();
  await service.announce(announceOf('ann', { job: 'llama' }), 0);

  const bob = await service.announce(announceOf('bob', { job: 'video' }), 1);

  expect(bob).toMatchObject({ answer: { peers: [], leases: [{ chunk: 0 }], agentCount: 1 } });
});

test('the borders of zones are as the service was told', async () => {
  for (const [locality, peers] of [
    ['zone', []],
    ['region', [{ agentId: 'ann' }]],
  ] as const) {
    const service = newService(locality);
    await service.announce(announceOf('ann', { zone: 'az1' }), 0);

    expect(await service.announce(announceOf('bob', { zone: 'az2' }), 1)).toMatchObject({ answer: { peers } });
  }
});

test('status is that of the live agents, until the job is forgotten', async () => {
  const service = newService();
  const job = parseJobId('llama-7');
  expect(await service.status(job, 0)).toBeUndefined();
  await service.announce(announceOf('ann'), 0);

  expect(await service.status(job, 1)).toMatchObject({ job, agents: [{ agentId: 'ann' }] });
  expect(await service.status(job, config.lease.silentMs)).toMatchObject({ job, agents: [] });
  expect(await service.status(job, config.tracker.jobIdleMs)).toBeUndefined();
});

test('a job too many is refused as such', async () => {
  const service = newService();
  for (let index = 0; index < config.tracker.jobsMax; index += 1) {
    await service.announce(announceOf('ann', { job: `j-${index}` }), 0);
  }

  expect(await service.announce(announceOf('ann', { job: 'one-more' }), 0)).toEqual({ kind: 'full', what: 'jobs' });
});

function newService(locality: Locality = 'zone'): TrackerService {
  return new TrackerService(new MemoryRosterStore(locality), seededRng(1));
}
