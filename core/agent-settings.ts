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

/** Slot counts from the number of flows that fill the link (design section 5.4). */
export type SlotCounts = { readonly uploads: number; readonly downloads: number };

export function slotCounts(flowsPerLink: number): SlotCounts {
  // f + 4 uploads and floor(1.25 f) + 4 downloads (field/policy.md: 8,8 / 10,12 / 12,14 / 16,16 gives 1.229 / 1.097 / 1.088 / 1.112).
  return { uploads: flowsPerLink + 4, downloads: Math.floor(1.25 * flowsPerLink) + 4 };
}
