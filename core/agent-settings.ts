import { config } from './config.ts';
import type { AgentId } from './ids.ts';

/** What one agent's state must be told of its machine and its job. */
export type AgentSettings = {
  readonly self: AgentId;
  readonly chunkCount: number;
  /** Whether there is a tracker at all; `none` leases everything to itself. */
  readonly tracker: 'expected' | 'none';
  /**
   * How many flows fill the machine's link: ceil(link / single-flow cap). 1 on a LAN or a loopback; 8 on EC2 with
   * 40 Gbit/s, where one flow gets 5 (field/theory.md 3.5).
   */
  readonly flowsPerLink: number;
};

/** `undefined`: nothing is known of the link, and one flow is taken to fill it. */
export function flowsPerLink(linkBytesPerSecond: number | undefined): number {
  return Math.max(1, Math.ceil((linkBytesPerSecond ?? 0) / config.exchange.flowBytesPerSecondMax));
}

/** Uploads, and downloads from peers, at one time (design section 5.4). */
export function slotCount(flowsPerLink: number): number {
  const { slotsPerFlowPercent, slotsSpare } = config.exchange;
  return Math.floor((flowsPerLink * slotsPerFlowPercent) / 100) + slotsSpare;
}
