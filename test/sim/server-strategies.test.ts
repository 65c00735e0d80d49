import { describe, expect, it } from 'vitest';
import { headline } from '../../sim/scenario.ts';
import { simulateServers } from '../../sim/server-strategies.ts';

const scenario = { ...headline, machines: 100, joinSpreadMs: 0 };

describe('100 machines of one link each', () => {
  it('take 100 file times from one server', () => {
    expect(simulateServers(scenario, 'single').lastMs).toBeCloseTo(100_030, 3);
  });

  it('take 10 file times from ten replicas', () => {
    expect(simulateServers(scenario, 'replicated').lastMs).toBeCloseTo(10_030, 3);
  });

  it('gain nothing from ten shards when all want the same file', () => {
    const sharded = simulateServers(scenario, 'sharded');

    expect(sharded.lastMs).toBeCloseTo(100_030, 3);
    expect(sharded.originCopies).toBe(100);
  });
});
