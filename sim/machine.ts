import { type AgentId, type Millis, parseAgentId, parseZone, type Zone } from '../core/ids.ts';
import { type Rng, shuffled } from '../core/rng.ts';
import type { Network, PortId } from './network.ts';
import type { Scenario } from './scenario.ts';

/** A host: what stays when its process dies and another is started. */
export type Machine = {
  readonly index: number;
  readonly agentId: AgentId;
  readonly zone: Zone;
  readonly up: PortId;
  readonly down: PortId;
  readonly linkBytesPerSecond: number;
  /** Bytes a millisecond that one of its connections reaches. */
  readonly flowLimit: number;
  readonly joinAt: Millis;
  readonly isSlow: boolean;
  /** False: no packet leaves or reaches it, and nobody is told. */
  hasPower: boolean;
  /** Its agent is complete or has failed, or it is dead: nothing more is waited for. */
  isFinished: boolean;
};

/** The hosts of a scenario, with their ports on the network. */
export function builtMachines(scenario: Scenario, network: Network, rng: Rng): readonly Machine[] {
  const indices = Array.from({ length: scenario.machines }, (_, index) => index);
  const slowCount = Math.round((scenario.slow?.share ?? 0) * scenario.machines);
  const slow = new Set(shuffled(indices, rng).slice(0, slowCount));
  const flowLimit = (scenario.linkBytesPerSecond * scenario.flowShare) / 1000;
  return indices.map(index => {
    const isSlow = slow.has(index);
    const linkBytesPerSecond = scenario.linkBytesPerSecond * (isSlow ? (scenario.slow?.speed ?? 1) : 1);
    return {
      index,
      agentId: parseAgentId(`m${index}`),
      zone: parseZone(`zone-${index % scenario.zones}`),
      up: network.addPort(linkBytesPerSecond / 1000),
      down: network.addPort(linkBytesPerSecond / 1000),
      linkBytesPerSecond,
      flowLimit: Math.min(flowLimit, linkBytesPerSecond / 1000),
      joinAt: joinAt(index, scenario, rng),
      isSlow,
      hasPower: true,
      isFinished: false,
    };
  });
}

/** The first machine joins at 0 and the last one at the end of the spread; the others at random between. */
function joinAt(index: number, scenario: Scenario, rng: Rng): Millis {
  if (index === 0) return 0;
  if (index === scenario.machines - 1) return scenario.joinSpreadMs;
  return (scenario.joinSpreadMs * rng.below(1_000_000)) / 1_000_000;
}
