import { assert } from './assert.ts';

const MiB = 1024 * 1024;

/**
 * Every tunable, once: unit in the name, reason, and source: a paper, an RFC, a measurement (bench/, sim/), the
 * studies of the design (field/policy.md, field/prototype.md), or the word *guess*.
 */
export const config = {
  manifest: {
    /** Ends at 1/M of a file-time lost per slot (design section 3). */
    chunksAimed: 1000,
    chunkLengthBytesMin: 1 * MiB,
    chunkLengthBytesMax: 64 * MiB,
    /** Have-maps stay below 128 KiB. 64 TiB at the largest chunk. A larger job is refused at publish and at parse. */
    chunksMax: 1_000_000,
    /** 100,000 small files make about 15 MB of JSON; a larger manifest is refused before it is read whole. */
    jsonBytesMax: 256 * MiB,
    entriesMax: 2_000_000,
    pathBytesMax: 4096,
  },
  graph: {
    /** Neighbours an agent looks for. Knee between 10 and 25 (field/policy.md: k = 16 / 24 / 32 gives 1.165 / 1.091 / 1.088). */
    neighboursAimed: 32,
    /** Neighbours an agent bears; a cap at the aim makes a chain in join order (1.209). Beyond it a link is refused. */
    neighboursMax: 64,
    /** A newcomer asks for more once the others of a burst have joined too (without: 1.434). */
    topUpAfterMs: 100,
    /** Addresses remembered of peers that are not neighbours; the oldest is forgotten. */
    candidatesMax: 256,
    /** Links under construction at one time; more wait. *guess* */
    connectsMax: 16,
    /** Before a peer that could not be reached is tried again; doubles up to the maximum. *guess* */
    reconnectMs: 250,
    reconnectMsMax: 30_000,
  },
  exchange: {
    /** Concurrent uploads where one flow fills the link: f + 4 with f = 1 (field/policy.md, lab: 5 is best of 1..12). */
    uploadSlots: 5,
    /** Requests served after those, first come first served; further ones hear `busy` (Q = 0 / 1 / 2 / 4: 1.136 / 1.108 / 1.088 / 1.097). */
    uploadQueueMax: 2,
    /** Chunks asked of peers at one time: floor(1.25 f) + 4 (same source). */
    downloadsMax: 5,
    /** With few neighbours, how many chunks one of them may send us at once, to hide the round trip between two. *guess* */
    downloadsPerPeerMax: 4,
    /** `have` and `arriving` wait this long for company (d = 0 / 1 / 5 / 20 ms: 1.082 / 1.088 / 1.102 / 1.134). */
    updateDelayMs: 1,
    /** An offer without an answer frees its slot. *guess*: ten LAN round trips and a busy event loop. */
    offerTimeoutMs: 1000,
    /** Not offered the same chunk again to a neighbour that declined as full. *guess* */
    declineBackoffMs: 20,
    /** A transfer in which no byte moved for so long is given up and its sender quarantined. A busy loop or a full link pauses for less. *guess* */
    stalledMs: 5000,
    /** At most one `chunk-progressed` an interval and transfer; `stalledMs` is judged by it. */
    progressIntervalMs: 250,
    /** Quarantine after a bad chunk from a sender that said it had verified it: for good, as far as one job goes. */
    corruptQuarantineMs: 3_600_000,
    /** After a bad chunk that the sender only passed on, after silence, or a wrong length: doubles with each strike. */
    strikeQuarantineMs: 5_000,
    /** Strikes of one peer before it counts as `corruptQuarantineMs`. libtorrent's smart-ban imitations use 3. */
    strikesMax: 3,
  },
  origin: {
    /** Pulls from the origin one agent keeps going. S3 gives 85-90 MB/s a connection (field/theory.md 3.3). */
    pullsMax: 32,
    /** Tries of one chunk whose bytes from the origin have the wrong hash before the job fails. */
    corruptTriesMax: 3,
    /** Wait before a chunk is asked of the origin again after a failure; doubles, with jitter, up to the maximum. */
    retryMs: 200,
    retryMsMax: 20_000,
  },
  announce: {
    /** Between announces when nothing urges; the tracker says how long. */
    intervalMs: 3000,
    /** Share of the interval by which it varies, in percent, so that a fleet started at once spreads. */
    jitterPercent: 20,
    /** Between two announces, whatever urges them. */
    gapMs: 5,
    /** After a failure; doubles up to the maximum, with jitter. */
    retryMs: 250,
    retryMsMax: 10_000,
    /** Without an answer for so long the agent leases to itself, in rendezvous order of (chunk, agent). *guess* */
    trackerAwayMs: 6_000,
    /** The next agent in that order takes over after so long. *guess* */
    takeoverMs: 3_000,
    starvingMax: 64,
  },
  lease: {
    /** Outstanding leases in one zone before anything is known of the origin (field/policy.md: base 3 / 6 / 12: 1.31 / 1.12 / 1.14). */
    outstandingBase: 6,
    /** Outstanding grows to base + this x (completions a second) x (shortest completion time). */
    outstandingPerBdp: 2,
    outstandingMax: 512,
    /** A lease that no announce renewed. Neighbours of a dead holder report it sooner (`lost`). */
    expiresMs: 15_000,
    /** An agent not heard of for so long has left the roster. */
    silentMs: 12_000,
    /** Asked again for a lease after so long, times the place in the queue, while the origin's rate is unknown. *guess* */
    retryMs: 50,
    retryMsMax: 2_000,
  },
  tracker: {
    /** Agents of one job; the next one is refused. */
    agentsMax: 20_000,
    jobsMax: 1_000,
    /** Peers in one answer. */
    peersPerAnswerMax: 32,
    announceBytesMax: 1 * MiB,
  },
  peers: {
    /** Chunks in one list of one message; a longer one is split by the sender and refused by the receiver. */
    updateChunksMax: 65_536,
    /** One line of a link. A hello with 1,000,000 chunks is 250 KB of hex. */
    lineBytesMax: 2 * MiB,
  },
} as const;

assert(config.graph.neighboursAimed < config.graph.neighboursMax, 'a full neighbour must be able to take newcomers');
assert(config.lease.expiresMs > 2 * config.announce.intervalMs, 'a lease must survive one lost announce');
assert(config.lease.silentMs > 2 * config.announce.intervalMs, 'an agent must survive one lost announce');
assert(
  config.exchange.stalledMs > 2 * config.exchange.progressIntervalMs,
  'progress must be told before silence is judged',
);
