import { Acquaintances } from './acquaintances.ts';
import type { QuarantineReason } from './agent-action.ts';
import type { DisconnectReason } from './agent-input.ts';
import { config } from './config.ts';
import type { AgentId, Millis } from './ids.ts';
import type { Neighbour } from './neighbour.ts';
import { NeighbourSet } from './neighbour-set.ts';
import type { Outbox } from './outbox.ts';
import type { PeerEntry, PeerHello } from './peer-message.ts';
import { Quarantine } from './quarantine.ts';

/** Whom we are connected to, whom we could be, and with whom we want nothing to do. */
export class Neighbourhood {
  readonly neighbours: NeighbourSet;
  readonly acquaintances = new Acquaintances();
  readonly quarantine = new Quarantine();
  /** Peers that could not be reached since the last announce. */
  readonly #lost = new Set<AgentId>();
  readonly #self: AgentId;
  readonly #out: Outbox;

  constructor(self: AgentId, chunkCount: number, out: Outbox) {
    this.#self = self;
    this.#out = out;
    this.neighbours = new NeighbourSet(chunkCount);
  }

  get wanted(): number {
    const known = this.neighbours.size + this.acquaintances.size;
    return Math.max(0, config.graph.neighboursAimed - known);
  }

  /** Whether a peer that dials us may become a neighbour. */
  admits(peer: AgentId, now: Millis): 'accept' | 'full' | 'quarantined' {
    if (this.quarantine.holds(peer, now)) return 'quarantined';
    if (this.neighbours.find(peer)) return 'accept';
    return this.neighbours.size < config.graph.neighboursMax ? 'accept' : 'full';
  }

  meet(entry: PeerEntry, now: Millis): void {
    if (entry.agentId === this.#self || this.quarantine.holds(entry.agentId, now)) return;
    const neighbour = this.neighbours.find(entry.agentId);
    if (neighbour?.entry.bootId !== entry.bootId) this.acquaintances.meet(entry, now);
  }

  /** Dial whoever is due, up to the aim. */
  dial(now: Millis): void {
    while (this.neighbours.size + this.acquaintances.connecting < config.graph.neighboursAimed) {
      const next = this.acquaintances.takeNext(now);
      if (!next) return;
      this.#out.push({ kind: 'connect', peer: next });
    }
  }

  /** `undefined` if the peer is not welcome (any more): it is sent away. */
  connected(hello: PeerHello, now: Millis): Neighbour | undefined {
    const peer = hello.from.agentId;
    this.acquaintances.remove(peer);
    this.#lost.delete(peer);
    if (this.admits(peer, now) === 'accept') return this.neighbours.add(hello);
    this.#out.push({ kind: 'disconnect', peer, why: 'not admitted' });
    return undefined;
  }

  /** Returns the neighbour that is one no longer. */
  disconnected(peer: AgentId, reason: DisconnectReason, now: Millis): Neighbour | undefined {
    const neighbour = this.neighbours.remove(peer);
    if (reason === 'unreachable') this.#lost.add(peer);
    if (reason === 'closed') this.acquaintances.remove(peer);
    else this.acquaintances.failed(neighbour?.entry, peer, now);
    return neighbour;
  }

  /** Quarantine for good (`convict`) or for a while (`strike`), and close the link. */
  punish(peer: AgentId, verdict: 'convict' | 'strike', reason: QuarantineReason, now: Millis): Neighbour | undefined {
    const forMs =
      verdict === 'convict' ? this.quarantine.convict(peer, reason, now) : this.quarantine.strike(peer, reason, now);
    this.#out.push({ kind: 'note-quarantine', peer, reason, forMs });
    this.acquaintances.remove(peer);
    const neighbour = this.neighbours.remove(peer);
    if (neighbour) this.#out.push({ kind: 'disconnect', peer, why: reason });
    return neighbour;
  }

  takeLost(): readonly AgentId[] {
    const lost = [...this.#lost];
    this.#lost.clear();
    return lost;
  }

  get hasLost(): boolean {
    return this.#lost.size > 0;
  }
}
