import { type Outcome, outcomeOf } from './outcome.ts';
import type { Scenario } from './scenario.ts';
import { simulateServers } from './server-strategies.ts';
import { coreTracker } from './virtual-tracker.ts';
import { type Sample, World } from './world.ts';

export type Simulation = { readonly outcome: Outcome; readonly samples: readonly Sample[] };

/** Run a scenario to its end. Takes 100 MB and a second for 100 machines x 1,000 chunks; grows with both. */
export function simulate(scenario: Scenario): Simulation {
  const { strategy } = scenario;
  if (strategy !== 'tracker') return { outcome: simulateServers(scenario, strategy), samples: [] };
  const world = new World(scenario, coreTracker(scenario));
  world.run();
  return { outcome: outcomeOfWorld(world), samples: world.samples };
}

export function outcomeOfWorld(world: World): Outcome {
  const { stage } = world;
  const ends = new Map(world.agents.map(agent => [agent.machine, agent.completeAt]));
  const live = world.machines.filter(machine => machine.hasPower);
  return outcomeOf(
    stage.scenario,
    live.map(machine => ({ machine, completeAt: ends.get(machine) })),
    {
      originBytes: stage.tally.originBytes,
      duplicateBytes: stage.tally.duplicateBytes,
      crossZoneBytes: stage.tally.crossZoneBytes,
      messages: stage.tally.messages,
      trackerCalls: stage.tally.trackerCalls,
      virtualMs: stage.now,
      steps: stage.trace.steps,
      traceHash: stage.trace.digest,
    },
  );
}
