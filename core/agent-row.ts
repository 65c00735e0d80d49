import type { ChunkSet } from './chunk-set.ts';
import { config } from './config.ts';
import type { AgentId, BootId, ChunkIndex, Millis, Zone } from './ids.ts';
import type { PeerEntry } from './peer-message.ts';
import type { AgentProgress, Announce } from './tracker-message.ts';

/** An announce whose address is known: said by the agent, or else where the announce came from. */
export type AddressedAnnounce = Announce & { readonly host: string };

/** What the tracker keeps of one agent: its last announce, and what the tracker itself noted since. */
export type AgentRow = {
  readonly agentId: AgentId;
  readonly bootId: BootId;
  readonly host: string;
  readonly port: number;
  readonly zone: Zone;
  readonly state: 'fetching' | 'seeding';
  readonly have: ChunkSet;
  readonly pulling: readonly ChunkIndex[];
  readonly leasesWanted: number;
  readonly neighbourCount: number;
  readonly linkBytesPerSecond: number | undefined;
  readonly progress: AgentProgress;
  readonly joinedAt: Millis;
  readonly lastAnnounceAt: Millis;
  /** Earlier runs of the same agent, oldest first: what they still say is no longer true. */
  readonly replacedBoots: readonly BootId[];
  /** Its place in the queue for leases; `undefined` while it does not queue. */
  ticket: number | undefined;
  /** `neighbourCount`, and the agents it was handed to or got handed since: links that stand or will. */
  expectedNeighbourCount: number;
  /** Since its last announce. At most `config.lease.lostReporters`. */
  readonly lostReports: LostReport[];
};

type LostReport = { readonly reporter: AgentId; readonly at: Millis };

/** The agent's next row. `previous` is its row of this or of an earlier boot, if the tracker knows one. */
export function nextRow(previous: AgentRow | undefined, announce: AddressedAnnounce, now: Millis): AgentRow {
  const known = previous?.bootId === announce.bootId ? previous : undefined;
  return {
    agentId: announce.agentId,
    bootId: announce.bootId,
    host: announce.host,
    port: announce.port,
    zone: announce.zone,
    state: announce.state === 'seeding' ? 'seeding' : 'fetching',
    // A copy: the announcer may go on changing its own set where both live in one process.
    have: known?.have.equals(announce.have) ? known.have : announce.have.clone(),
    pulling: announce.pulling,
    leasesWanted: announce.leasesWanted,
    neighbourCount: announce.neighbourCount,
    linkBytesPerSecond: announce.linkBytesPerSecond,
    progress: announce.progress,
    joinedAt: known?.joinedAt ?? now,
    lastAnnounceAt: now,
    replacedBoots: known || !previous ? (previous?.replacedBoots ?? []) : withReplaced(previous),
    ticket: known?.ticket,
    expectedNeighbourCount: announce.neighbourCount,
    lostReports: [],
  };
}

/**
 * True for a late announce of an earlier run. Boot ids are random, so that only memory can tell old from new. The
 * memory ends with the row: then nothing is left that the old run could harm.
 */
export function isReplacedBoot(row: AgentRow, bootId: BootId): boolean {
  return row.bootId !== bootId && row.replacedBoots.includes(bootId);
}

/** Not heard of for so long that it counts as gone. */
export function isSilent(row: AgentRow, now: Millis): boolean {
  return now - row.lastAnnounceAt >= config.lease.silentMs;
}

/** Takes part in the sharing of leases: wants some, or works on some. */
export function isLeasing(row: AgentRow): boolean {
  return row.leasesWanted > 0 || row.pulling.length > 0;
}

/**
 * `reporter` says that it cannot reach the agent. Returns whether that is believed now: by one voice in a small zone,
 * else by several that do not lie far apart. An announce of the agent itself wipes all reports, for it makes a new row.
 */
export function reportLost(row: AgentRow, reporter: AgentId, zoneAgents: number, now: Millis): boolean {
  const { lostAloneAgents, lostReporters, lostReportsMs } = config.lease;
  if (zoneAgents <= lostAloneAgents) return true;
  const recent = row.lostReports.filter(report => now - report.at < lostReportsMs && report.reporter !== reporter);
  recent.push({ reporter, at: now });
  row.lostReports.splice(0, row.lostReports.length, ...recent);
  return recent.length >= lostReporters;
}

/** How to reach the agent. */
export function peerEntry(row: AgentRow): PeerEntry {
  return { agentId: row.agentId, bootId: row.bootId, host: row.host, port: row.port, zone: row.zone };
}

function withReplaced(previous: AgentRow): readonly BootId[] {
  return [...previous.replacedBoots, previous.bootId].slice(-config.tracker.replacedBootsMax);
}
