import { expect, it } from 'vitest';
import type { AgentAction } from '../../core/agent-action.ts';
import { AgentState } from '../../core/agent-state.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import { type AgentId, type ChunkIndex, type Millis, parseAgentId, parseBootId, parseZone } from '../../core/ids.ts';
import { seededRng } from '../../core/rng.ts';
import type { AnnounceAnswer } from '../../core/tracker-message.ts';

// What an agent does when the tracker answers, and still nobody gives it anything.

const CHUNKS = 64;
const [self, giver, liar] = [parseAgentId('a'), parseAgentId('b'), parseAgentId('c')];
const ORIGIN = { kind: 'origin' } as const;
const { rescueAfterMs, takeoverMs } = config.announce;

/** A state with a driver as simple as can be: the origin delivers at once, the liar never, the tracker leases `leases`. */
class Agent {
  readonly state = new AgentState(
    { self, chunkCount: CHUNKS, tracker: 'expected', flowsPerLink: 1 },
    new ChunkSet(CHUNKS),
    0,
    seededRng(1),
  );
  readonly pulled: ChunkIndex[] = [];
  leases: readonly ChunkIndex[] = [];
  returned: readonly ChunkIndex[] = [];
  isOriginSilent = false;

  handle(...args: Parameters<AgentState['handle']>): void {
    for (const action of this.state.handle(...args)) this.#obey(action, args[1]);
  }

  /** Lets time pass from `from` to `to`, waking as the state wants. */
  live(from: Millis, to: Millis): void {
    for (let now = from; now <= to; now += config.exchange.housekeepingMs) this.handle({ kind: 'woke' }, now);
  }

  connect(peer: AgentId, have: ChunkSet, now: Millis): void {
    const from = { agentId: peer, bootId: parseBootId('b1'), host: 'h', port: 1, zone: parseZone('z') };
    this.handle({ kind: 'peer-connected', hello: { kind: 'hello', from, have, arriving: [] } }, now);
  }

  /** The peer gives a chunk that it has just got. */
  receive(peer: AgentId, chunk: ChunkIndex, now: Millis): void {
    const source = { kind: 'peer', peer } as const;
    const update = { kind: 'update', have: [chunk], arriving: [], dropped: [] } as const;
    this.handle({ kind: 'peer-said', peer, message: update }, now);
    this.handle({ kind: 'peer-said', peer, message: { kind: 'offer', chunk } }, now);
    this.handle({ kind: 'chunk-verified', chunk, source, lengthBytes: 1 }, now);
  }

  #obey(action: AgentAction, now: Millis): void {
    if (action.kind === 'announce') {
      this.returned = [...this.returned, ...action.announce.returned];
      this.handle({ kind: 'tracker-answered', answer: answer(this.leases) }, now);
    }
    if (action.kind === 'pull-from-origin') {
      this.pulled.push(action.chunk);
      const { chunk } = action;
      if (!this.isOriginSilent) this.handle({ kind: 'chunk-verified', chunk, source: ORIGIN, lengthBytes: 1 }, now);
    }
    if (action.kind === 'request-chunk' && action.peer === liar) {
      const { chunk, peer } = action;
      const failure = { kind: 'busy', retryAfterMs: undefined } as const;
      this.handle({ kind: 'chunk-failed', chunk, source: { kind: 'peer', peer }, failure }, now);
    }
    if (action.kind === 'cancel-transfer' && action.source.kind === 'origin') {
      const { chunk } = action;
      this.handle({ kind: 'chunk-failed', chunk, source: ORIGIN, failure: { kind: 'cancelled' } }, now);
    }
  }
}

it('a pull that stalls gives its lease back, for another agent to have it at once', () => {
  const agent = new Agent();
  agent.isOriginSilent = true;
  agent.leases = [3];
  agent.handle({ kind: 'woke' }, 0);
  agent.leases = [];

  agent.live(0, rescueAfterMs - 100);

  expect(agent.pulled).toEqual([3]);
  expect(agent.returned).toEqual([3]);
});

it('a rescue goes on when others begin to give, with all that no giver has, whatever a liar says', () => {
  const agent = new Agent();
  agent.handle({ kind: 'woke' }, 0);
  agent.connect(giver, new ChunkSet(CHUNKS), 10);
  agent.connect(liar, ChunkSet.full(CHUNKS), 10);
  agent.live(100, rescueAfterMs - 100);
  const before = [...agent.pulled];

  agent.live(rescueAfterMs, rescueAfterMs);
  const [given = 0] = agent.state.have.missing();
  agent.receive(giver, given, rescueAfterMs + 10);
  agent.live(rescueAfterMs + 100, rescueAfterMs + 3 * takeoverMs);

  expect(before).toEqual([]);
  expect(agent.state.have.isFull).toBe(true);
  expect(agent.pulled).not.toContain(given);
});

it('a rescue leaves to a giver what it has', () => {
  const agent = new Agent();
  agent.handle({ kind: 'woke' }, 0);
  agent.connect(giver, new ChunkSet(CHUNKS), 10);
  agent.live(100, rescueAfterMs);
  const [given = 0, held = 0] = agent.state.have.missing();
  agent.receive(giver, given, rescueAfterMs + 10);
  const update = { kind: 'update', have: [held], arriving: [], dropped: [] } as const;
  agent.handle({ kind: 'peer-said', peer: giver, message: update }, rescueAfterMs + 20);

  agent.live(rescueAfterMs + 100, rescueAfterMs + 3 * takeoverMs);

  expect([...agent.state.have.missing()]).toEqual([held]);
});

it('a rescue ends when the tracker leases again', () => {
  const agent = new Agent();
  agent.handle({ kind: 'woke' }, 0);
  agent.connect(liar, ChunkSet.full(CHUNKS), 10);
  agent.live(100, rescueAfterMs);
  const during = agent.state.rung(rescueAfterMs);
  const [leased = 0] = agent.state.have.missing();

  agent.leases = [leased];
  agent.live(rescueAfterMs + 100, rescueAfterMs + config.announce.intervalMs * 2);

  expect(during).toBe('origin-alone');
  expect(agent.state.rung(rescueAfterMs + config.announce.intervalMs * 2)).toBe('tracker');
});

function answer(leases: readonly ChunkIndex[]): AnnounceAnswer {
  const granted = leases.map(chunk => ({ chunk, startsInMs: 0, expiresInMs: config.lease.expiresMs }));
  return { peers: [], leases: granted, leaseInMs: undefined, announceInMs: config.announce.intervalMs, agentCount: 3 };
}
