import { assert, unreachable } from '../core/assert.ts';
import { config } from '../core/config.ts';
import type { AgentId, Millis } from '../core/ids.ts';
import { type Rng, seededRng, shuffled } from '../core/rng.ts';
import { fileTimeMs } from './bounds.ts';
import { Links } from './links.ts';
import { builtMachines, type Machine } from './machine.ts';
import type { Scenario } from './scenario.ts';
import type { SimEvent } from './sim-event.ts';
import { Stage } from './stage.ts';
import { Transfers } from './transfers.ts';
import { type Surroundings, VirtualAgent } from './virtual-agent.ts';
import { VirtualOrigin } from './virtual-origin.ts';
import { type TrackerDecisions, VirtualTracker } from './virtual-tracker.ts';

/** What is seen at one moment of a run; of every machine how many chunks it has. */
export type Sample = { readonly at: Millis; readonly haveCounts: Uint32Array; readonly uplinkUse: number };

/** All machines of one scenario on one stage, from the first join until every live agent is complete. */
export class World {
  readonly stage: Stage;
  readonly machines: readonly Machine[];
  readonly origin: VirtualOrigin;
  readonly samples: Sample[] = [];
  readonly #links: Links;
  readonly #transfers: Transfers;
  readonly #around: Surroundings;
  readonly #tracker: VirtualTracker;
  /** The boot that runs now, or ran last. */
  readonly #agents = new Map<AgentId, VirtualAgent>();

  constructor(scenario: Scenario, decide: TrackerDecisions) {
    this.stage = new Stage(scenario);
    this.origin = new VirtualOrigin(this.stage);
    this.#transfers = new Transfers(this.stage, this.origin);
    this.#links = new Links(this.stage, this.#transfers, id => this.#agents.get(id));
    this.#tracker = new VirtualTracker(this.stage, decide);
    this.#around = {
      stage: this.stage,
      links: this.#links,
      transfers: this.#transfers,
      tracker: this.#tracker,
    };
    const rng = seededRng(scenario.seed);
    this.machines = builtMachines(scenario, this.stage.network, rng);
    for (const machine of this.machines) this.stage.queue.push(machine.joinAt, { kind: 'join', machine });
    this.#planDeaths(rng);
    if (scenario.sampleMs !== undefined) this.stage.after(0, { kind: 'sample' });
  }

  get agents(): readonly VirtualAgent[] {
    return [...this.#agents.values()];
  }

  /** Runs until every machine is complete, failed or dead, or the horizon is reached. */
  run(): void {
    const { queue, network, scenario } = this.stage;
    while (this.stage.unfinished > 0) {
      const flowAt = network.nextAt(this.stage.now);
      const next = Math.min(flowAt, queue.nextAt);
      if (next > scenario.horizonMs) return;
      this.stage.now = next;
      if (flowAt <= queue.nextAt) {
        const flow = network.advance(next);
        if (flow !== undefined) this.#transfers.flowEnded(flow);
      } else {
        const event = queue.take();
        assert(event !== undefined, 'an event that is next is there');
        this.#deliver(event);
      }
    }
  }

  #deliver(event: SimEvent): void {
    switch (event.kind) {
      case 'join':
        return this.#join(event.machine);
      case 'power-lost':
        return this.#losePower(event.machine);
      case 'wake':
        return event.agent.wake(event.at);
      case 'progress-tick':
        return this.#progressTick(event.agent);
      case 'dialed':
        return this.#links.dialed(event.end);
      case 'dial-failed':
        return this.#links.dialFailed(event.end, event.reason);
      case 'hello':
        return this.#links.heard(event.end, event.hello);
      case 'told':
        return this.#links.told(event.end, event.message);
      case 'told-all':
        return this.#links.toldAll(event.from, event.message, event.sentAt);
      case 'link-lost':
        return this.#links.lost(event.end, event.reason);
      case 'asked':
        return this.#transfers.asked(event.transfer);
      case 'first-bytes':
        return this.#transfers.firstBytes(event.transfer);
      case 'landed':
        return this.#transfers.landed(event.transfer);
      case 'transfer-failed':
        return this.#transfers.failed(event.transfer, event.failure);
      case 'upload-aborted':
        return this.#transfers.uploadAborted(event.transfer, event.sentBytes);
      case 'origin-answered':
        return this.#transfers.originAnswered(event.transfer);
      case 'announced':
        return this.#tracker.announced(event.agent, event.content);
      case 'tracker-answered':
        return event.agent.feed({ kind: 'tracker-answered', answer: event.answer });
      case 'tracker-failed':
        return event.agent.feed({ kind: 'tracker-failed', retryAfterMs: event.retryAfterMs });
      case 'sample':
        return this.#sample();
      default:
        return unreachable(event);
    }
  }

  #join(machine: Machine): void {
    if (!machine.hasPower) return;
    const agent = new VirtualAgent(this.#around, machine, 1, undefined);
    this.#agents.set(machine.agentId, agent);
    this.stage.after(config.exchange.progressIntervalMs, { kind: 'progress-tick', agent });
  }

  #losePower(machine: Machine): void {
    machine.hasPower = false;
    this.stage.finish(machine);
    const agent = this.#agents.get(machine.agentId);
    if (!agent) return;
    agent.isAlive = false;
    this.#transfers.cutAll(agent);
    this.#links.cutAll(agent, this.stage.scenario.silenceMs);
  }

  #progressTick(agent: VirtualAgent): void {
    if (!agent.isAlive || agent.completeAt !== undefined) return;
    this.#transfers.tellProgress(agent);
    this.stage.after(config.exchange.progressIntervalMs, { kind: 'progress-tick', agent });
  }

  #sample(): void {
    const { network, now, scenario } = this.stage;
    const haveCounts = Uint32Array.from(
      this.machines,
      machine => this.#agents.get(machine.agentId)?.state.have.size ?? 0,
    );
    let used = 0;
    let rated = 0;
    for (const machine of this.machines) {
      used += network.load(machine.up);
      rated += machine.linkBytesPerSecond / 1000;
    }
    this.samples.push({ at: now, haveCounts, uplinkUse: used / rated });
    this.stage.after(scenario.sampleMs ?? Number.POSITIVE_INFINITY, { kind: 'sample' });
  }

  #planDeaths(rng: Rng): void {
    const { scenario, queue } = this.stage;
    const deaths = Math.round(scenario.killShare * scenario.machines);
    const fileMs = fileTimeMs(scenario);
    for (const machine of shuffled(this.machines, rng).slice(0, deaths)) {
      const at = fileMs * (0.2 + (0.6 * rng.below(1_000_000)) / 1_000_000);
      queue.push(at, { kind: 'power-lost', machine });
    }
  }
}
