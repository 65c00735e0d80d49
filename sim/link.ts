import type { AgentId, Millis } from '../core/ids.ts';
import type { VirtualAgent } from './virtual-agent.ts';

/**
 * One end of a link, as its agent sees it. The other end exists from the moment at which the dialer's hello arrives;
 * until then the dialer's end is alone.
 */
export class LinkEnd {
  readonly agent: VirtualAgent;
  readonly peer: VirtualAgent;
  readonly peerId: AgentId;
  other: LinkEnd | undefined;
  /** Our hello went out at this moment: what is told to all from then on goes this way too. */
  helloSentAt: Millis = Number.POSITIVE_INFINITY;
  /** The peer's hello was read. */
  isConnected = false;
  isClosed = false;

  constructor(agent: VirtualAgent, peer: VirtualAgent) {
    this.agent = agent;
    this.peer = peer;
    this.peerId = peer.machine.agentId;
  }
}
