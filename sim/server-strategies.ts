import { assert, unreachable } from '../core/assert.ts';
import type { Millis } from '../core/ids.ts';
import { seededRng } from '../core/rng.ts';
import { builtMachines, type Machine } from './machine.ts';
import { type FlowId, Network } from './network.ts';
import { type Completion, type Outcome, outcomeOf } from './outcome.ts';
import { chunkCount, type Scenario, type Strategy } from './scenario.ts';
import { TraceHash } from './trace-hash.ts';

export type ServerStrategy = Exclude<Strategy, 'tracker'>;

/**
 * What people do without Starling: every machine downloads the whole file from an origin machine whose link is as fast
 * as its own. No agents, no chunks; only the network. The origin machines have the file from the start.
 *
 * - `single`: one machine serves everyone. - `replicated`: `originMachines` have it, each serves its part of the fleet.
 * - `sharded`: the files of a store are spread over `originMachines`, and everybody wants the same one.
 */
export function simulateServers(scenario: Scenario, strategy: ServerStrategy): Outcome {
  const network = new Network({ tolerance: 0, passOnBytes: 0 });
  const trace = new TraceHash();
  const machines = builtMachines(scenario, network, seededRng(scenario.seed));
  const origins = Array.from({ length: originCount(scenario, strategy) }, () =>
    network.addPort(scenario.linkBytesPerSecond / 1000),
  );
  const byFlow = new Map<FlowId, Machine>();
  const ends: Completion[] = [];
  const waiting = [...machines].sort((one, other) => one.joinAt - other.joinAt || one.index - other.index);
  let now: Millis = 0;
  while (ends.length < machines.length) {
    const flowAt = network.nextAt(now);
    const startAt = (waiting[0]?.joinAt ?? Number.POSITIVE_INFINITY) + scenario.origin.firstByteMs;
    now = Math.min(flowAt, startAt);
    const machine = startAt <= flowAt ? waiting.shift() : undefined;
    if (machine) {
      const from = origins[machine.index % origins.length];
      assert(from !== undefined, 'there is an origin machine');
      const limit = machine.linkBytesPerSecond / 1000;
      const spec = { from, to: machine.down, lengthBytes: scenario.sizeBytes, limit, source: undefined };
      byFlow.set(network.start(spec, now), machine);
      continue;
    }
    const flow = network.advance(now);
    const done = flow === undefined ? undefined : byFlow.get(flow);
    if (!done) continue;
    trace.mix(1, done.index, now);
    ends.push({ machine: done, completeAt: now });
  }
  return outcomeOf({ ...scenario, strategy }, ends, {
    originBytes: scenario.sizeBytes * scenario.machines,
    duplicateBytes: 0,
    crossZoneBytes: 0,
    messages: scenario.machines * chunkCount(scenario),
    trackerCalls: 0,
    virtualMs: now,
    steps: trace.steps,
    traceHash: trace.digest,
  });
}

function originCount(scenario: Scenario, strategy: ServerStrategy): number {
  switch (strategy) {
    case 'single':
    case 'sharded':
      return 1;
    case 'replicated':
      return scenario.originMachines;
    default:
      return unreachable(strategy);
  }
}
