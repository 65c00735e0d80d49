import type { AgentAction, AnnounceContent } from '../../core/agent-action.ts';
import type { AgentInput, ChunkSource, UploadId } from '../../core/agent-input.ts';
import { AgentState } from '../../core/agent-state.ts';
import { unreachable } from '../../core/assert.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { type AgentId, type ChunkIndex, type Millis, parseAgentId, parseBootId, parseZone } from '../../core/ids.ts';
import type { PeerEntry } from '../../core/peer-message.ts';
import { seededRng } from '../../core/rng.ts';
import type { AnnounceAnswer } from '../../core/tracker-message.ts';

export const LATENCY_MS = 1;
export const CHUNK_MS = 20;

export type TinyTracker = (agent: PeerEntry, content: AnnounceContent, now: Millis) => AnnounceAnswer | undefined;

type Upload = {
  readonly upload: UploadId;
  readonly from: AgentId;
  readonly to: AgentId;
  readonly chunk: ChunkIndex;
  isOver: boolean;
};

export type TinyAgent = {
  readonly entry: PeerEntry;
  readonly state: AgentState;
  readonly links: Set<AgentId>;
  isAlive: boolean;
  isComplete: boolean;
  failure: string | undefined;
  wakesAt: Millis | undefined;
  /** Chunks received, with the source of each; for counting. */
  readonly received: { readonly chunk: ChunkIndex; readonly source: ChunkSource['kind'] }[];
};

/**
 * A world without a network, just large enough to run core's state machines against each other: messages take
 * `LATENCY_MS`, a chunk `CHUNK_MS` whatever else moves. sim/ is the faithful one.
 */
export class TinyWorld {
  readonly agents = new Map<AgentId, TinyAgent>();
  readonly actions: { readonly by: AgentId; readonly action: AgentAction; readonly at: Millis }[] = [];
  /** Decides the fate of one transfer; `undefined` lets it succeed. */
  spoil: (source: ChunkSource, chunk: ChunkIndex, to: AgentId) => 'corrupt' | 'hang' | undefined = () => undefined;
  now: Millis = 0;
  readonly #chunkCount: number;
  readonly #tracker: TinyTracker | undefined;
  readonly #queue: { readonly at: Millis; readonly sequence: number; readonly run: () => void }[] = [];
  readonly #uploads = new Map<UploadId, Upload>();
  #sequence = 0;

  constructor(chunkCount: number, tracker: TinyTracker | undefined) {
    this.#chunkCount = chunkCount;
    this.#tracker = tracker;
  }

  join(name: string, seed: number, have?: ChunkSet): TinyAgent {
    const agentId = parseAgentId(name);
    const entry = { agentId, bootId: parseBootId(`boot-${seed}`), host: 'tiny', port: 1, zone: parseZone('z1') };
    const settings = {
      self: agentId,
      chunkCount: this.#chunkCount,
      tracker: this.#tracker ? ('expected' as const) : ('none' as const),
      flowsPerLink: 1,
    };
    const state = new AgentState(settings, have ?? new ChunkSet(this.#chunkCount), this.now, seededRng(seed));
    const agent: TinyAgent = {
      entry,
      state,
      links: new Set(),
      isAlive: true,
      isComplete: false,
      failure: undefined,
      wakesAt: undefined,
      received: [],
    };
    this.agents.set(agentId, agent);
    this.#later(0, () => this.feed(agent, { kind: 'woke' }));
    return agent;
  }

  kill(agent: TinyAgent): void {
    agent.isAlive = false;
    for (const peer of agent.links) {
      const other = this.agents.get(peer);
      if (other?.links.delete(agent.entry.agentId)) {
        this.feed(other, { kind: 'peer-disconnected', peer: agent.entry.agentId, reason: 'broken' });
      }
    }
    agent.links.clear();
    for (const upload of this.#uploads.values()) {
      if (upload.isOver || (upload.from !== agent.entry.agentId && upload.to !== agent.entry.agentId)) continue;
      this.#endUpload(upload, 'broken');
    }
  }

  /** Runs until nothing is left to do, `until` holds, or the virtual time is up. */
  run(until: () => boolean, untilMs: Millis): void {
    for (let next = this.#queue[0]; next && !until() && next.at <= untilMs; next = this.#queue[0]) {
      this.#queue.shift();
      this.now = next.at;
      next.run();
    }
  }

  get living(): readonly TinyAgent[] {
    return [...this.agents.values()].filter(agent => agent.isAlive);
  }

  feed(agent: TinyAgent, input: AgentInput): void {
    if (!agent.isAlive) return;
    for (const action of agent.state.handle(input, this.now)) {
      this.actions.push({ by: agent.entry.agentId, action, at: this.now });
      this.#obey(agent, action);
    }
    this.#scheduleWake(agent);
  }

  #scheduleWake(agent: TinyAgent): void {
    const deadline = agent.state.nextDeadline();
    if (deadline === undefined || agent.wakesAt === deadline) return;
    agent.wakesAt = deadline;
    this.#later(Math.max(0, deadline - this.now), () => {
      if (agent.wakesAt !== deadline) return;
      agent.wakesAt = undefined;
      this.feed(agent, { kind: 'woke' });
    });
  }

  #obey(agent: TinyAgent, action: AgentAction): void {
    const self = agent.entry.agentId;
    switch (action.kind) {
      case 'announce':
        return this.#announce(agent, action.announce);
      case 'connect':
        return this.#connect(agent, action.peer.agentId);
      case 'disconnect':
        return this.#disconnect(agent, action.peer);
      case 'tell':
        return this.#toPeer(self, action.peer, { kind: 'peer-said', peer: self, message: action.message });
      case 'tell-all':
        for (const peer of agent.links)
          this.#toPeer(self, peer, { kind: 'peer-said', peer: self, message: action.message });
        return;
      case 'request-chunk':
        return this.#request(agent, action.peer, action.chunk);
      case 'pull-from-origin':
        return this.#transfer(agent, action.chunk, { kind: 'origin' }, () => true);
      case 'cancel-transfer':
        return this.#later(0, () =>
          this.feed(agent, {
            kind: 'chunk-failed',
            chunk: action.chunk,
            source: action.source,
            failure: { kind: 'cancelled' },
          }),
        );
      case 'serve-chunk':
        return this.#serve(agent, action.upload);
      case 'refuse-upload': {
        const upload = this.#uploads.get(action.upload);
        const kind =
          action.refusal.kind === 'busy'
            ? ({ kind: 'busy', retryAfterMs: undefined } as const)
            : ({ kind: 'gone' } as const);
        if (upload) this.#fail(upload, kind);
        return;
      }
      case 'stop-upload': {
        const upload = this.#uploads.get(action.upload);
        if (upload) this.#endUpload(upload, 'gone');
        return;
      }
      case 'note-quarantine':
        return;
      case 'complete':
        agent.isComplete = true;
        return;
      case 'fail':
        agent.failure = action.failure.kind;
        return;
      default:
        return unreachable(action);
    }
  }

  #announce(agent: TinyAgent, content: AnnounceContent): void {
    this.#later(LATENCY_MS, () => {
      const answer = this.#tracker?.(agent.entry, content, this.now);
      this.#later(LATENCY_MS, () =>
        this.feed(
          agent,
          answer ? { kind: 'tracker-answered', answer } : { kind: 'tracker-failed', retryAfterMs: undefined },
        ),
      );
    });
  }

  #connect(agent: TinyAgent, peer: AgentId): void {
    this.#later(2 * LATENCY_MS, () => {
      const other = this.agents.get(peer);
      if (!other?.isAlive) return this.feed(agent, { kind: 'peer-disconnected', peer, reason: 'unreachable' });
      if (agent.links.has(peer)) return;
      if (other.state.admits(agent.entry.agentId, this.now) !== 'accept') {
        return this.feed(agent, { kind: 'peer-disconnected', peer, reason: 'refused' });
      }
      agent.links.add(peer);
      other.links.add(agent.entry.agentId);
      const mine = { kind: 'hello' as const, from: agent.entry, ...agent.state.holdings() };
      const theirs = { kind: 'hello' as const, from: other.entry, ...other.state.holdings() };
      this.feed(agent, { kind: 'peer-connected', hello: theirs });
      this.feed(other, { kind: 'peer-connected', hello: mine });
    });
  }

  #disconnect(agent: TinyAgent, peer: AgentId): void {
    const self = agent.entry.agentId;
    if (!agent.links.delete(peer)) return;
    const other = this.agents.get(peer);
    other?.links.delete(self);
    for (const upload of this.#uploads.values()) {
      const isTheirs = (upload.from === self && upload.to === peer) || (upload.from === peer && upload.to === self);
      if (isTheirs && !upload.isOver) this.#endUpload(upload, 'broken');
    }
    this.#later(
      LATENCY_MS,
      () => other && this.feed(other, { kind: 'peer-disconnected', peer: self, reason: 'broken' }),
    );
  }

  #request(agent: TinyAgent, peer: AgentId, chunk: ChunkIndex): void {
    this.#sequence += 1;
    const upload: Upload = { upload: this.#sequence, from: peer, to: agent.entry.agentId, chunk, isOver: false };
    this.#uploads.set(upload.upload, upload);
    this.#later(LATENCY_MS, () => {
      const other = this.agents.get(peer);
      if (!other?.isAlive || !agent.links.has(peer)) return this.#fail(upload, { kind: 'broken' });
      this.feed(other, { kind: 'upload-asked', upload: upload.upload, peer: agent.entry.agentId, chunk });
    });
  }

  #serve(agent: TinyAgent, id: UploadId): void {
    const upload = this.#uploads.get(id);
    const receiver = upload && this.agents.get(upload.to);
    if (!upload || !receiver) return;
    const source = { kind: 'peer' as const, peer: agent.entry.agentId };
    // A chunk that is itself still arriving is sent on no sooner than it has arrived.
    this.#transfer(receiver, upload.chunk, source, () => {
      if (upload.isOver) return false;
      if (!agent.state.have.has(upload.chunk)) return 'wait';
      upload.isOver = true;
      this.feed(agent, { kind: 'upload-ended', upload: id, sentBytes: 1, complete: true });
      return true;
    });
  }

  #transfer(to: TinyAgent, chunk: ChunkIndex, source: ChunkSource, end: () => boolean | 'wait'): void {
    const fate = this.spoil(source, chunk, to.entry.agentId);
    const isPassedOn = source.kind === 'peer' && !this.agents.get(source.peer)?.state.have.has(chunk);
    this.#later(LATENCY_MS, () => this.feed(to, { kind: 'chunk-progressed', chunk, source, passedOn: isPassedOn }));
    if (fate === 'hang') return;
    const finish = (): void => {
      const outcome = end();
      if (outcome === 'wait') return this.#later(LATENCY_MS, finish);
      if (!outcome) return;
      if (fate)
        return this.feed(to, { kind: 'chunk-failed', chunk, source, failure: { kind: fate, passedOn: isPassedOn } });
      to.received.push({ chunk, source: source.kind });
      this.feed(to, { kind: 'chunk-verified', chunk, source, lengthBytes: 1 });
    };
    this.#later(CHUNK_MS, finish);
  }

  #endUpload(upload: Upload, kind: 'gone' | 'broken'): void {
    const sender = this.agents.get(upload.from);
    if (sender) this.feed(sender, { kind: 'upload-ended', upload: upload.upload, sentBytes: 0, complete: false });
    this.#fail(upload, { kind });
  }

  #fail(upload: Upload, failure: Extract<AgentInput, { kind: 'chunk-failed' }>['failure']): void {
    if (upload.isOver) return;
    upload.isOver = true;
    const receiver = this.agents.get(upload.to);
    const source = { kind: 'peer' as const, peer: upload.from };
    this.#later(
      LATENCY_MS,
      () => receiver && this.feed(receiver, { kind: 'chunk-failed', chunk: upload.chunk, source, failure }),
    );
  }

  #toPeer(from: AgentId, to: AgentId, input: AgentInput): void {
    this.#later(LATENCY_MS, () => {
      const other = this.agents.get(to);
      if (other?.links.has(from)) this.feed(other, input);
    });
  }

  #later(delayMs: Millis, run: () => void): void {
    this.#sequence += 1;
    const event = { at: this.now + delayMs, sequence: this.#sequence, run };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#queue[middle]?.at ?? 0) <= event.at) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, event);
  }
}
