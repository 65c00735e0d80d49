import type { AddressedAnnounce } from '../../core/agent-row.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { parseAgentId, parseBootId, parseJobId, parseZone } from '../../core/ids.ts';

/** What a test says of an announce; all else is that of a healthy newcomer in zone `az1` that wants all it can get. */
export type AnnounceDraft = Partial<
  Omit<AddressedAnnounce, 'job' | 'agentId' | 'bootId' | 'zone' | 'have' | 'lost'> & {
    readonly job: string;
    readonly bootId: string;
    readonly zone: string;
    readonly have: readonly number[] | ChunkSet;
    readonly lost: readonly string[];
    readonly chunkCount: number;
  }
>;

export function announceOf(agentId: string, draft: AnnounceDraft = {}): AddressedAnnounce {
  const { job, bootId, zone, have, lost, chunkCount, ...plain } = draft;
  return {
    job: parseJobId(job ?? 'llama-7'),
    manifestDigest: 'ab'.repeat(32),
    chunkLengthBytes: 5_000_000,
    agentId: parseAgentId(agentId),
    bootId: parseBootId(bootId ?? 'boot-1'),
    host: `${agentId}.test`,
    port: 7000,
    zone: parseZone(zone ?? 'az1'),
    state: 'fetching',
    have: have instanceof ChunkSet ? have : ChunkSet.of(chunkCount ?? 40, have ?? []),
    pulling: [],
    returned: [],
    leasesWanted: 32,
    starving: [],
    lost: (lost ?? []).map(parseAgentId),
    peersWanted: 32,
    neighbourCount: 0,
    linkBytesPerSecond: undefined,
    progress: {
      bytesFromOrigin: 0,
      bytesFromPeers: 0,
      bytesUploaded: 0,
      duplicateBytes: 0,
      rateBytesPerSecond: 0,
      quarantined: [],
    },
    ...plain,
  };
}
