import * as z from 'zod/mini';
import { ChunkSet } from './chunk-set.ts';
import { config } from './config.ts';
import { StarlingError } from './errors.ts';
import { fromHex, toHex } from './hex.ts';
import { type ChunkIndex, parseAgentId, parseBootId, parseJobId, parseZone } from './ids.ts';
import { parsePeerEntry } from './peer-message.ts';
import type { AgentProgress, AgentStatus, Announce, AnnounceAnswer, JobStatus } from './tracker-message.ts';
import { valid } from './valid.ts';

// Fields that this version does not know are ignored: the agents of a fleet and their tracker are not upgraded together.

const { announce: limits, manifest, tracker } = config;

/** Lengths of time on the wire: no answer speaks of more than a day. */
const DAY_MS = 86_400_000;
/** Rates: 10 Tbit/s is no machine. */
const BYTES_PER_SECOND_MAX = 1.25e12;

const id = z.string().check(z.maxLength(64));
const jobId = z.string().check(z.maxLength(128));
/** Peers dial it: a name or an address, no path and no port. */
const host = z.string().check(z.regex(/^[A-Za-z0-9._:%-]{1,255}$/));
const port = z.int().check(z.gte(1), z.lte(65_535));
const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const chunkCount = z.int().check(z.gte(0), z.lte(manifest.chunksMax));
const chunkIndex = z.int().check(z.gte(0), z.lt(manifest.chunksMax));
const count = z.int().check(z.gte(0), z.lte(manifest.chunksMax));
const bytes = z.int().check(z.gte(0));
const lengthMs = z.number().check(z.gte(0), z.lte(DAY_MS));
const leasedChunks = z.array(chunkIndex).check(z.maxLength(limits.leasesMax));

const progressSchema = z.object({
  bytesFromOrigin: bytes,
  bytesFromPeers: bytes,
  bytesUploaded: bytes,
  duplicateBytes: bytes,
  rateBytesPerSecond: z.number().check(z.gte(0), z.lte(BYTES_PER_SECOND_MAX)),
  quarantined: z
    .array(z.object({ agentId: id, reason: z.string().check(z.maxLength(64)), forMs: lengthMs }))
    .check(z.maxLength(limits.quarantinedMax)),
});

const announceSchema = z.object({
  job: jobId,
  manifestDigest: sha256,
  chunkCount,
  chunkLengthBytes: z.int().check(z.gte(1)),
  agentId: id,
  bootId: id,
  host: z.optional(host),
  port,
  zone: id,
  state: z.enum(['fetching', 'seeding', 'left']),
  have: z.string().check(z.maxLength(manifest.chunksMax / 4 + 2)),
  pulling: leasedChunks,
  returned: leasedChunks,
  leasesWanted: count,
  starving: z.array(chunkIndex).check(z.maxLength(limits.starvingMax)),
  lost: z.array(id).check(z.maxLength(limits.lostMax)),
  peersWanted: count,
  neighbourCount: count,
  linkBytesPerSecond: z.optional(z.number().check(z.gte(1), z.lte(BYTES_PER_SECOND_MAX))),
  progress: progressSchema,
});

const answerSchema = z.object({
  peers: z.array(z.unknown()).check(z.maxLength(tracker.peersPerAnswerMax)),
  leases: z
    .array(z.object({ chunk: chunkIndex, startsInMs: lengthMs, expiresInMs: lengthMs }))
    .check(z.maxLength(config.lease.outstandingMax)),
  leaseInMs: z.optional(lengthMs),
  announceInMs: lengthMs,
  agentCount: z.int().check(z.gte(0), z.lte(tracker.agentsMax)),
});

const agentStatusSchema = z.object({
  agentId: id,
  bootId: id,
  host,
  port,
  zone: id,
  state: z.enum(['fetching', 'seeding']),
  haveCount: count,
  pullingCount: count,
  neighbourCount: count,
  lastAnnounceAgoMs: lengthMs,
  progress: progressSchema,
});

const statusSchema = z.object({
  job: jobId,
  manifestDigest: sha256,
  chunkCount,
  agents: z.array(agentStatusSchema).check(z.maxLength(tracker.agentsMax)),
  leases: z.object({ outstanding: z.int().check(z.gte(0)), free: z.int().check(z.gte(0)) }),
});

/** Throws `invalid-message` or `invalid-job-id`, also for a have-map or an index that does not fit the announce's own chunk count. */
export function parseAnnounce(json: unknown): Announce {
  const { chunkCount, ...announce } = valid(announceSchema, json, 'announce');
  const bits = fromHex(announce.have);
  const have = bits && ChunkSet.fromBytes(chunkCount, bits);
  if (!have)
    throw new StarlingError('invalid-message', `announce with a have-map that does not fit ${chunkCount} chunks`);
  checkChunks([announce.pulling, announce.returned, announce.starving], chunkCount);
  return {
    ...announce,
    job: parseJobId(announce.job),
    agentId: parseAgentId(announce.agentId),
    bootId: parseBootId(announce.bootId),
    host: announce.host,
    zone: parseZone(announce.zone),
    have,
    lost: announce.lost.map(parseAgentId),
    linkBytesPerSecond: announce.linkBytesPerSecond,
    progress: parsedProgress(announce.progress),
  };
}

/**
 * What `parseAnnounce` reads back. Of the lists that only hasten or only inform (`starving`, `lost`, `quarantined`)
 * what goes beyond their limits is left out; leases never are, for an agent cannot hold more than `leasesMax`.
 */
export function announceJson(announce: Announce): unknown {
  return withoutUndefined({
    ...announce,
    chunkCount: announce.have.chunkCount,
    have: toHex(announce.have.toBytes()),
    starving: announce.starving.slice(0, limits.starvingMax),
    lost: announce.lost.slice(0, limits.lostMax),
    progress: {
      ...announce.progress,
      quarantined: announce.progress.quarantined.slice(0, limits.quarantinedMax),
    },
  });
}

/** `chunkCount` is that of the announce. Throws `invalid-message`. */
export function parseAnnounceAnswer(json: unknown, chunkCount: number): AnnounceAnswer {
  const answer = valid(answerSchema, json, 'answer of the tracker');
  checkChunks([answer.leases.map(lease => lease.chunk)], chunkCount);
  return { ...answer, peers: answer.peers.map(parsePeerEntry), leaseInMs: answer.leaseInMs };
}

/** What `parseAnnounceAnswer` reads back. */
export function announceAnswerJson(answer: AnnounceAnswer): unknown {
  return withoutUndefined(answer);
}

/** Throws `invalid-message` or `invalid-job-id`. */
export function parseJobStatus(json: unknown): JobStatus {
  const status = valid(statusSchema, json, 'status of the job');
  return { ...status, job: parseJobId(status.job), agents: status.agents.map(parsedAgentStatus) };
}

/** What `parseJobStatus` reads back. */
export function jobStatusJson(status: JobStatus): unknown {
  return status;
}

function parsedAgentStatus(agent: z.output<typeof agentStatusSchema>): AgentStatus {
  return {
    ...agent,
    agentId: parseAgentId(agent.agentId),
    bootId: parseBootId(agent.bootId),
    zone: parseZone(agent.zone),
    progress: parsedProgress(agent.progress),
  };
}

function parsedProgress(progress: z.output<typeof progressSchema>): AgentProgress {
  return {
    ...progress,
    quarantined: progress.quarantined.map(entry => ({ ...entry, agentId: parseAgentId(entry.agentId) })),
  };
}

function checkChunks(lists: readonly (readonly ChunkIndex[])[], chunkCount: number): void {
  for (const list of lists) {
    const wrong = list.find(chunk => chunk >= chunkCount);
    if (wrong !== undefined) throw new StarlingError('invalid-message', `chunk ${wrong} in a job of ${chunkCount}`);
  }
}

/** A field that is undefined is absent on the wire. */
function withoutUndefined(fields: object): unknown {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
