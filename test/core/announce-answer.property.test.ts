import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ModelSwarm } from './model-swarm.ts';

const links = fc.array(fc.constantFrom(undefined, 1e7, 1e9, 5e9), { minLength: 1, maxLength: 24 });
const word = fc.record({
  delivered: fc.constantFrom(0, 50, 100),
  returned: fc.constantFrom(0, 20),
  isLost: fc.integer({ min: 0, max: 9 }).map(die => die === 0),
});
const step = fc.record({
  agent: fc.nat({ max: 23 }),
  laterMs: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 4000 })),
  does: fc.oneof(
    { weight: 12, arbitrary: fc.constant('announce' as const) },
    { weight: 1, arbitrary: fc.constantFrom('crash' as const, 'restart' as const, 'leave' as const) },
  ),
  word,
});

test('whatever agents do, no chunk is leased twice at one time, and all chunks come to each zone in the end', () => {
  fc.assert(
    fc.property(links, fc.array(step, { maxLength: 120 }), fc.nat(), (links, steps, seed) => {
      const swarm = new ModelSwarm(links, seed);
      for (const { agent: index, laterMs, does, word } of steps) {
        swarm.now += laterMs;
        const agent = swarm.agents[index % links.length];
        if (!agent) continue;
        if (does === 'crash' || does === 'restart') swarm.crash(agent);
        if (does === 'leave') swarm.leave(agent);
        if (does === 'announce' || does === 'restart') swarm.start(agent);
        if (does === 'announce') swarm.announce(agent, word);
      }
      for (const agent of swarm.agents.slice(0, 2)) swarm.start(agent);

      swarm.settle(120_000);

      expect(swarm.missing()).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('a tracker that forgets everything in between leases no chunk twice either, and brings all to each zone', () => {
  fc.assert(
    fc.property(links, fc.nat({ max: 3000 }), fc.nat(), (links, forgetsAfterMs, seed) => {
      const swarm = new ModelSwarm(links, seed);
      for (const agent of swarm.agents) swarm.start(agent);

      swarm.settle(forgetsAfterMs);
      swarm.forget();
      swarm.settle(120_000);

      expect(swarm.missing()).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
