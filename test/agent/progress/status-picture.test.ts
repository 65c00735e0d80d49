import { expect, test } from 'vitest';
import { statusJson, statusText } from '../../../agent/progress/status-picture.ts';
import { parseAgentId, parseBootId, parseJobId, parseZone } from '../../../core/ids.ts';
import type { AgentStatus, JobStatus } from '../../../core/tracker-message.ts';

const MiB = 1024 ** 2;

test('a status names the slow agent, the complete one, and who is quarantined and why', () => {
  const agents = [
    agent('seeder', { state: 'seeding', haveCount: 100, rate: 0 }),
    agent('quick', { haveCount: 60, rate: 40 * MiB }),
    agent('usual', { haveCount: 50, rate: 30 * MiB, quarantines: 'liar' }),
    agent('laggard', { haveCount: 10, rate: 2 * MiB }),
  ];

  const rows = statusText(statusOf(agents)).split('\n');

  expect(rows[0]).toBe('job j: 100 chunks; 4 agents, 1 complete; together 72.0 MiB/s; 3 leases out, 7 free');
  expect(rows.slice(3).map(row => row.split(' ')[0])).toEqual(['laggard', 'usual', 'quick', 'seeder']);
  expect(rows[3]).toMatch(/fetching +10\.0 % .* slow$/);
  expect(rows[4]).toMatch(/quarantines liar for 5\.0 s: corrupt$/);
  expect(rows[6]).toMatch(/seeding +100\.0 %/);
});

test('machines get the same judgement', () => {
  const agents = [
    agent('a', { haveCount: 33, rate: 90 }),
    agent('b', { haveCount: 1, rate: 100 }),
    agent('c', { haveCount: 1, rate: 10 }),
  ];

  expect(statusJson(statusOf(agents))).toMatchObject({
    kind: 'status',
    job: 'j',
    agents: [
      { agentId: 'a', percent: 33, isSlow: false },
      { agentId: 'b', isSlow: false },
      { agentId: 'c', isSlow: true },
    ],
  });
});

test('a large fleet is cut for people, and says so', () => {
  const agents = Array.from({ length: 250 }, (_, index) => agent(`a${index}`, { haveCount: 1, rate: 1 }));

  expect(statusText(statusOf(agents)).split('\n').at(-1)).toBe('and 50 agents more; --json lists them all');
});

function statusOf(agents: readonly AgentStatus[]): JobStatus {
  return {
    job: parseJobId('j'),
    manifestDigest: '0'.repeat(64),
    chunkCount: 100,
    agents,
    leases: { outstanding: 3, free: 7 },
  };
}

function agent(
  id: string,
  facts: { haveCount: number; rate: number; state?: 'seeding'; quarantines?: string },
): AgentStatus {
  const quarantined =
    facts.quarantines === undefined
      ? []
      : [{ agentId: parseAgentId(facts.quarantines), reason: 'corrupt', forMs: 5000 }];
  return {
    agentId: parseAgentId(id),
    bootId: parseBootId('boot'),
    host: '10.0.0.1',
    port: 7071,
    zone: parseZone('use1-az1'),
    state: facts.state ?? 'fetching',
    haveCount: facts.haveCount,
    pullingCount: 0,
    neighbourCount: 3,
    lastAnnounceAgoMs: 900,
    progress: {
      bytesFromOrigin: MiB,
      bytesFromPeers: MiB,
      bytesUploaded: 0,
      duplicateBytes: 0,
      rateBytesPerSecond: facts.rate,
      quarantined,
    },
  };
}
