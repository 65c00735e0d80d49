import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AnnounceContent } from '../../core/agent-action.ts';
import { JobTracker, shapeOf } from '../../core/announce-answer.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import { type Millis, parseJobId } from '../../core/ids.ts';
import type { PeerEntry } from '../../core/peer-message.ts';
import { seededRng } from '../../core/rng.ts';
import type { AnnounceAnswer } from '../../core/tracker-message.ts';
import { type TinyAgent, type TinyTracker, TinyWorld } from './tiny-world.ts';

const PROGRESS = {
  bytesFromOrigin: 0,
  bytesFromPeers: 0,
  bytesUploaded: 0,
  duplicateBytes: 0,
  rateBytesPerSecond: 0,
  quarantined: [],
};

/** The real tracker's decisions; `away` says when it does not answer. */
function coreTracker(seed: number): TinyTracker & { restart(): void } {
  const rng = seededRng(seed);
  let tracker: JobTracker | undefined;
  const answer = (agent: PeerEntry, content: AnnounceContent, now: Millis): AnnounceAnswer => {
    const announce = {
      ...content,
      ...agent,
      job: parseJobId('swarm'),
      manifestDigest: 'd',
      chunkLengthBytes: 1,
      linkBytesPerSecond: undefined,
      progress: PROGRESS,
    };
    tracker ??= new JobTracker(shapeOf(announce), 'zone', now);
    const outcome = tracker.answer(announce, now, rng);
    tracker.assertInvariants();
    if (outcome.kind !== 'answered') throw new Error(outcome.kind);
    return outcome.answer;
  };
  return Object.assign(answer, {
    restart: () => {
      tracker = undefined;
    },
  });
}

function joinMany(world: TinyWorld, count: number, seed: number): readonly TinyAgent[] {
  return Array.from({ length: count }, (_, index) => world.join(`a${index}`, seed + index));
}

function allComplete(world: TinyWorld): boolean {
  return world.living.every(agent => agent.isComplete);
}

function pulls(world: TinyWorld): number {
  return world.actions.filter(({ action }) => action.kind === 'pull-from-origin').length;
}

describe('a swarm of state machines', () => {
  it('of 50 completes; every chunk leaves the origin once and reaches every agent once', () => {
    const world = new TinyWorld(100, coreTracker(1));
    const agents = joinMany(world, 50, 1);

    world.run(() => allComplete(world), 60_000);

    expect(agents.filter(agent => agent.state.have.isFull).length).toBe(50);
    expect(pulls(world)).toBe(100);
    for (const agent of agents)
      expect(new Set(agent.received.map(({ chunk }) => chunk)).size).toBe(agent.received.length);
  });

  it('completes for any size of swarm and job, from any start', () => {
    const sizes = fc.record({
      agents: fc.integer({ min: 1, max: 14 }),
      chunks: fc.integer({ min: 1, max: 60 }),
      seed: fc.integer({ min: 0, max: 1_000_000 }),
      had: fc.array(fc.nat(), { maxLength: 30 }),
    });
    fc.assert(
      fc.property(sizes, ({ agents, chunks, seed, had }) => {
        const world = new TinyWorld(chunks, coreTracker(seed));
        world.join(
          'resumed',
          seed,
          ChunkSet.of(
            chunks,
            had.map(chunk => chunk % chunks),
          ),
        );
        joinMany(world, agents, seed + 1);
        world.run(() => allComplete(world), 120_000);
        expect(allComplete(world)).toBe(true);
        expect(pulls(world)).toBeLessThanOrEqual(chunks);
      }),
      { numRuns: 60 },
    );
  });

  it('finishes when a third of it is killed half-way, lease holders among them', () => {
    const world = new TinyWorld(120, coreTracker(3));
    const agents = joinMany(world, 24, 3);
    world.run(() => agents.some(agent => agent.state.have.size > 40), 60_000);

    for (const agent of agents.slice(0, 8)) world.kill(agent);
    world.run(() => allComplete(world), 120_000);

    expect(world.living.length).toBe(16);
    expect(allComplete(world)).toBe(true);
  });

  it('finishes when the tracker forgets everything in the middle, at the price of few chunks twice', () => {
    const tracker = coreTracker(4);
    const world = new TinyWorld(150, tracker);
    const agents = joinMany(world, 12, 4);
    world.run(() => agents.some(agent => agent.state.have.size > 50), 60_000);

    tracker.restart();
    world.run(() => allComplete(world), 120_000);

    expect(allComplete(world)).toBe(true);
    expect(pulls(world)).toBeLessThanOrEqual(150 + 12);
  });

  it('finishes when the tracker goes away for good: agents lease to themselves', () => {
    const tracker = coreTracker(5);
    let isAway = false;
    const world = new TinyWorld(150, (agent, content, now) => {
      if (isAway) return undefined;
      return tracker(agent, content, now);
    });
    const agents = joinMany(world, 12, 5);
    world.run(() => agents.some(agent => agent.state.have.size > 30), 60_000);

    isAway = true;
    world.run(() => allComplete(world), 240_000);

    expect(allComplete(world)).toBe(true);
    expect(pulls(world)).toBeLessThanOrEqual(2 * 150);
  });

  it('shuts out an agent whose uploads are wrong, and finishes', () => {
    const world = new TinyWorld(80, coreTracker(6));
    const agents = joinMany(world, 10, 6);
    const liar = agents[0]?.entry.agentId;
    world.spoil = source => (source.kind === 'peer' && source.peer === liar ? 'corrupt' : undefined);

    world.run(() => allComplete(world), 240_000);

    expect(allComplete(world)).toBe(true);
    const blamed = world.actions.filter(({ action }) => action.kind === 'note-quarantine' && action.peer === liar);
    expect(blamed.length).toBeGreaterThan(0);
  });

  it('is not held up by an agent whose uploads hang', () => {
    const world = new TinyWorld(80, coreTracker(7));
    const agents = joinMany(world, 10, 7);
    const hung = agents[0]?.entry.agentId;
    world.spoil = source => (source.kind === 'peer' && source.peer === hung ? 'hang' : undefined);

    world.run(() => allComplete(world), 60_000);

    expect(allComplete(world)).toBe(true);
  });

  it('takes a newcomer in when all others are complete, without the origin', () => {
    const world = new TinyWorld(60, coreTracker(8));
    joinMany(world, 6, 8);
    world.run(() => allComplete(world), 60_000);

    const late = world.join('late', 99);
    world.run(() => allComplete(world), 120_000);

    expect(late.received.length).toBe(60);
    expect(late.received.every(({ source }) => source === 'peer')).toBe(true);
  });

  it('counts and bounds hold after every step', () => {
    const world = new TinyWorld(100, coreTracker(9));
    const agents = joinMany(world, 20, 9);
    const had = new Map(agents.map(agent => [agent, 0]));
    world.run(() => {
      for (const agent of agents) {
        if (agent.state.have.size < (had.get(agent) ?? 0)) throw new Error(`${agent.entry.agentId} lost a chunk`);
        had.set(agent, agent.state.have.size);
        if (agent.state.neighbourCount > config.graph.neighboursMax) throw new Error('too many neighbours');
      }
      return allComplete(world);
    }, 60_000);
    expect(allComplete(world)).toBe(true);
  });
});
