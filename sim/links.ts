import type { DisconnectReason } from '../core/agent-input.ts';
import type { AgentId, Millis } from '../core/ids.ts';
import type { PeerEntry, PeerHello, PeerMessage, PeerUpdate } from '../core/peer-message.ts';
import { LinkEnd } from './link.ts';
import type { Stage } from './stage.ts';
import type { Transfers } from './transfers.ts';
import type { VirtualAgent } from './virtual-agent.ts';

/**
 * Links between agents: set up in two round trips (connection, then the two hellos), ordered and lossless while they
 * stand, as a TCP connection is. What is said is not counted against the capacity of the hosts.
 */
export class Links {
  readonly #stage: Stage;
  readonly #transfers: Transfers;
  readonly #agentOf: (id: AgentId) => VirtualAgent | undefined;

  constructor(stage: Stage, transfers: Transfers, agentOf: (id: AgentId) => VirtualAgent | undefined) {
    this.#stage = stage;
    this.#transfers = transfers;
    this.#agentOf = agentOf;
  }

  dial(agent: VirtualAgent, entry: PeerEntry): void {
    // It dials us, or is linked already: `peer-connected` comes, or has come, of that.
    if (agent.ends.has(entry.agentId)) return;
    const peer = this.#agentOf(entry.agentId);
    if (!peer) {
      agent.feed({ kind: 'peer-disconnected', peer: entry.agentId, reason: 'unreachable' });
      return;
    }
    const end = new LinkEnd(agent, peer);
    agent.ends.set(entry.agentId, end);
    this.#stage.after(2 * this.#delayMs(end), { kind: 'dialed', end });
  }

  /** The network has connected the two hosts, or has not. */
  dialed(end: LinkEnd): void {
    if (end.isClosed || !end.agent.isAlive) return;
    if (!end.peer.machine.hasPower) {
      const waitMs = this.#stage.scenario.dialTimeoutMs - 2 * this.#delayMs(end);
      this.#stage.after(Math.max(0, waitMs), { kind: 'dial-failed', end, reason: 'unreachable' });
      return;
    }
    if (!end.peer.isAlive) return this.dialFailed(end, 'unreachable');
    this.#sendHello(end);
  }

  dialFailed(end: LinkEnd, reason: DisconnectReason): void {
    if (end.isClosed) return;
    this.#drop(end);
    end.agent.feed({ kind: 'peer-disconnected', peer: end.peerId, reason });
  }

  /** The hello of `end`'s agent has reached the peer: as the first word of a dialer, or as the answer to that. */
  heard(end: LinkEnd, hello: PeerHello): void {
    const listener = end.peer;
    if (end.isClosed || !listener.isAlive) return;
    const answered = end.other;
    if (answered) {
      if (answered.isClosed) return;
      answered.isConnected = true;
      listener.feed({ kind: 'peer-connected', hello });
      return;
    }
    this.#accept(end, hello);
  }

  tell(agent: VirtualAgent, peer: AgentId, message: PeerMessage): void {
    const end = agent.ends.get(peer);
    if (!end) return;
    const { tally } = this.#stage;
    tally.messages += 1;
    if (message.kind === 'decline') tally.declines += 1;
    this.#stage.after(this.#delayMs(end), { kind: 'told', end, message });
  }

  told(end: LinkEnd, message: PeerMessage): void {
    if (this.#reaches(end)) end.peer.feed({ kind: 'peer-said', peer: end.agent.machine.agentId, message });
  }

  /** One event for all neighbours of one distance: a thousand agents say a million of these. */
  tellAll(from: VirtualAgent, message: PeerUpdate): void {
    const { now, scenario } = this.#stage;
    this.#stage.tally.messages += from.ends.size;
    const near = scenario.rttMs / 2;
    this.#stage.after(near, { kind: 'told-all', from, message, sentAt: now });
    if (scenario.zones === 1) return;
    const far = scenario.crossZoneRttMs / 2;
    if (far !== near) this.#stage.after(far, { kind: 'told-all', from, message, sentAt: now });
  }

  toldAll(from: VirtualAgent, message: PeerUpdate, sentAt: Millis): void {
    const { now, scenario } = this.#stage;
    const input = { kind: 'peer-said', peer: from.machine.agentId, message } as const;
    for (const end of from.ends.values()) {
      if (scenario.zones > 1 && this.#isOtherDistance(end, now - sentAt)) continue;
      if (end.helloSentAt <= sentAt && this.#reaches(end)) end.peer.feed(input);
    }
  }

  /** By order of the agent: its own side ends now, the other hears of it. */
  close(agent: VirtualAgent, peer: AgentId): void {
    const end = agent.ends.get(peer);
    if (!end) return;
    this.#end(end);
    this.#tellLost(end, this.#delayMs(end), 'closed');
  }

  /** The process is gone. The others hear of it after `noticedMs` more than the way takes. */
  cutAll(agent: VirtualAgent, noticedMs: Millis): void {
    for (const end of [...agent.ends.values()]) {
      this.#drop(end);
      this.#tellLost(end, noticedMs + this.#delayMs(end), 'broken');
    }
  }

  lost(end: LinkEnd, reason: DisconnectReason): void {
    if (end.isClosed || !end.agent.isAlive) return;
    this.#end(end);
    end.agent.feed({ kind: 'peer-disconnected', peer: end.peerId, reason });
  }

  #accept(dialer: LinkEnd, hello: PeerHello): void {
    const listener = dialer.peer;
    const caller = dialer.agent.machine.agentId;
    const own = listener.ends.get(caller);
    if (own && own.peer === dialer.agent && !own.isConnected) {
      // Both dial at once: the link of the lower id stands. The other side drops its own when our hello comes.
      if (listener.machine.agentId < caller) return;
      this.#drop(own);
    } else if (own) {
      this.lost(own, 'broken');
    }
    const verdict = listener.state.admits(caller, this.#stage.now);
    if (verdict !== 'accept') {
      this.#stage.after(this.#delayMs(dialer), { kind: 'dial-failed', end: dialer, reason: 'refused' });
      return;
    }
    const end = new LinkEnd(listener, dialer.agent);
    end.other = dialer;
    dialer.other = end;
    end.isConnected = true;
    listener.ends.set(caller, end);
    this.#sendHello(end);
    listener.feed({ kind: 'peer-connected', hello });
  }

  #sendHello(end: LinkEnd): void {
    end.helloSentAt = this.#stage.now;
    this.#stage.after(this.#delayMs(end), { kind: 'hello', end, hello: end.agent.hello() });
  }

  /** What `end`'s agent says arrives. */
  #reaches(end: LinkEnd): boolean {
    const { other } = end;
    return !end.isClosed && other !== undefined && other.isConnected && !other.isClosed;
  }

  #end(end: LinkEnd): void {
    this.#drop(end);
    this.#transfers.breakOff(end.agent, end.peer);
  }

  #drop(end: LinkEnd): void {
    end.isClosed = true;
    if (end.agent.ends.get(end.peerId) === end) end.agent.ends.delete(end.peerId);
  }

  #tellLost(end: LinkEnd, delayMs: Millis, reason: DisconnectReason): void {
    if (end.other) this.#stage.after(delayMs, { kind: 'link-lost', end: end.other, reason });
  }

  #isOtherDistance(end: LinkEnd, agoMs: Millis): boolean {
    return Math.abs(this.#delayMs(end) - agoMs) > 1e-6;
  }

  #delayMs(end: LinkEnd): Millis {
    return this.#stage.delayMs(end.agent.machine, end.peer.machine);
  }
}
