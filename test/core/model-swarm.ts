import { JobTracker, shapeOf } from '../../core/announce-answer.ts';
import { assert } from '../../core/assert.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import { type Rng, seededRng } from '../../core/rng.ts';
import type { AnnounceAnswer } from '../../core/tracker-message.ts';
import { announceOf } from './announce-of.ts';

export const CHUNKS = 40;
const ZONES = ['az1', 'az2'] as const;
const LEASES_MAX = 8;
const DELIVERY_MS = 80;

/** One agent as a tracker sees it; what it does between two announces is up to the test. */
type ModelAgent = {
  readonly name: string;
  readonly zone: string;
  readonly link: number | undefined;
  boot: number;
  isAlive: boolean;
  have: Set<number>;
  /** Lease by chunk, and when its bytes may come at the earliest. */
  leases: Map<number, number>;
  nextAt: number;
  /** What the tracker must believe of it: what it heard last, and what it granted in its answer. */
  heard:
    | {
        readonly at: number;
        readonly boot: number;
        readonly have: ReadonlySet<number>;
        readonly pulls: ReadonlySet<number>;
      }
    | undefined;
};

/**
 * A swarm of agents that pull leased chunks and never trade, around one tracker. It checks after every word that no
 * chunk is leased while, for all the tracker can know, another agent of the zone pulls or has it.
 */
export class ModelSwarm {
  now = 0;
  readonly agents: readonly ModelAgent[];
  readonly #rng: Rng;
  #tracker: JobTracker;

  constructor(links: readonly (number | undefined)[], seed: number) {
    this.#rng = seededRng(seed);
    this.#tracker = new JobTracker(shapeOf(announceOf('any', { chunkCount: CHUNKS })), 'zone', 0);
    this.agents = links.map((link, index) => ({
      name: `a-${index}`,
      zone: ZONES[index % ZONES.length] as string,
      link,
      boot: 0,
      isAlive: false,
      have: new Set(),
      leases: new Map(),
      nextAt: 0,
      heard: undefined,
    }));
  }

  /** A fresh run of the agent; it finds nothing on its disk. */
  start(agent: ModelAgent): void {
    if (agent.isAlive) return;
    Object.assign(agent, { boot: agent.boot + 1, isAlive: true, have: new Set(), leases: new Map(), nextAt: this.now });
  }

  crash(agent: ModelAgent): void {
    agent.isAlive = false;
  }

  leave(agent: ModelAgent): void {
    if (!agent.isAlive) return;
    this.#say(agent, { state: 'left' });
    agent.isAlive = false;
    agent.heard = undefined;
  }

  /** The tracker loses all that it knows. Agents do not notice, and what it leases must not depend on it. */
  forget(): void {
    this.#tracker = new JobTracker(shapeOf(announceOf('any', { chunkCount: CHUNKS })), 'zone', this.now);
  }

  /** `delivered` of 100 leases have come in. The answer may get lost. */
  announce(
    agent: ModelAgent,
    word: { readonly delivered: number; readonly returned: number; readonly isLost: boolean },
  ) {
    if (!agent.isAlive) return;
    const returned: number[] = [];
    for (const chunk of [...agent.leases.keys()]) {
      if (this.#rng.below(100) < word.delivered) this.#deliver(agent, chunk);
      else if (this.#rng.below(100) < word.returned && agent.leases.delete(chunk)) returned.push(chunk);
    }
    this.#take(agent, this.#say(agent, { returned }), word.isLost);
  }

  /** From here on agents behave: each asks when it was told to, and every lease is fulfilled. Ends when all are served. */
  settle(untilMs: number): void {
    const end = this.now + untilMs;
    for (const agent of this.agents) agent.nextAt = Math.max(agent.nextAt, this.now);
    while (!this.#isServed() && this.now < end) {
      const agent = this.#nextToSpeak();
      this.now = Math.max(this.now, agent.nextAt);
      for (const [chunk, comesAt] of agent.leases) if (comesAt <= this.now) this.#deliver(agent, chunk);
      this.#take(agent, this.#say(agent, {}), false);
    }
  }

  /** Chunks that no live agent of some zone with live agents has. */
  missing(): readonly string[] {
    return ZONES.flatMap(zone => {
      const living = this.agents.filter(agent => agent.zone === zone && agent.isAlive);
      if (living.length === 0) return [];
      const chunks = Array.from({ length: CHUNKS }, (_, chunk) => chunk);
      return chunks.filter(chunk => !living.some(agent => agent.have.has(chunk))).map(chunk => `${zone} ${chunk}`);
    });
  }

  #say(agent: ModelAgent, said: { readonly state?: 'left'; readonly returned?: readonly number[] }): AnnounceAnswer {
    const announce = announceOf(agent.name, {
      bootId: `boot-${agent.boot}`,
      zone: agent.zone,
      have: ChunkSet.of(CHUNKS, agent.have),
      pulling: [...agent.leases.keys()],
      leasesWanted: Math.min(LEASES_MAX - agent.leases.size, CHUNKS - agent.have.size - agent.leases.size),
      starving: this.#starving(agent),
      linkBytesPerSecond: agent.link,
      neighbourCount: agent.heard?.boot === agent.boot ? 1 : 0,
      ...said,
    });
    const outcome = this.#tracker.answer(announce, this.now, this.#rng);
    this.#tracker.assertInvariants();
    assert(outcome.kind === 'answered', `${agent.name} is answered`);
    const granted = outcome.answer.leases.map(({ chunk }) => chunk);
    for (const chunk of granted) this.#checkFree(chunk, agent);
    agent.heard = {
      at: this.now,
      boot: agent.boot,
      have: new Set(agent.have),
      pulls: new Set([...agent.leases.keys(), ...granted]),
    };
    return outcome.answer;
  }

  #take(agent: ModelAgent, answer: AnnounceAnswer, isLost: boolean): void {
    if (isLost) {
      agent.nextAt = this.now + config.announce.retryMs;
      return;
    }
    for (const { chunk, startsInMs } of answer.leases) agent.leases.set(chunk, this.now + startsInMs + DELIVERY_MS);
    const beatMs = answer.announceInMs * 0.9;
    const soonMs = agent.leases.size > 0 ? DELIVERY_MS : beatMs;
    agent.nextAt = this.now + Math.min(soonMs, answer.leaseInMs ?? soonMs, beatMs);
  }

  #deliver(agent: ModelAgent, chunk: number): void {
    agent.leases.delete(chunk);
    agent.have.add(chunk);
  }

  #checkFree(chunk: number, to: ModelAgent): void {
    for (const other of this.agents) {
      if (other === to || other.zone !== to.zone || !other.heard) continue;
      if (this.now - other.heard.at >= config.lease.silentMs) continue;
      const lease = `chunk ${chunk} is leased to ${to.name} while ${other.name}`;
      assert(!other.heard.pulls.has(chunk), `${lease} pulls it`);
      assert(!other.heard.have.has(chunk), `${lease} has it`);
    }
  }

  #starving(agent: ModelAgent): readonly number[] {
    const living = this.agents.filter(other => other.zone === agent.zone && other.isAlive);
    const starving: number[] = [];
    for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
      const isReachable = living.some(other => other.have.has(chunk) || other.leases.has(chunk));
      if (!isReachable && starving.length < config.announce.starvingMax) starving.push(chunk);
    }
    return starving;
  }

  #isServed(): boolean {
    return this.missing().length === 0;
  }

  #nextToSpeak(): ModelAgent {
    const living = this.agents.filter(agent => agent.isAlive);
    return living.reduce((first, agent) => (agent.nextAt < first.nextAt ? agent : first));
  }
}
