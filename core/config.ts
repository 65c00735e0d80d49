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
    /** PATH_MAX of Linux. */
    pathBytesMax: 4096,
    /** NAME_MAX of the usual file systems; a longer name could not be written anywhere. */
    nameBytesMax: 255,
    /** A chunk length that the publisher chose may go up to here; beyond it a chunk is no unit of trade. *guess* */
    chosenChunkLengthBytesMax: 1024 * MiB,
    /** S3's limit for a key, in bytes. */
    keyBytesMax: 1024,
  },
  disk: {
    /** Received bytes go to disk in writes of this length, unless somebody waits for them. *guess*: below it the cost of a thread-pool round trip shows, above it memory. */
    writeBytes: 256 * 1024,
    /** Write buffers kept for reuse; a receiver holds at most two, further ones are allocated and dropped. */
    writeBuffersMax: 64,
    /** File handles one tree keeps open; the one used longest ago is closed. Far below the usual limit of 1,024 a process. */
    openFilesMax: 128,
    /** File operations at one time while a tree is made, scanned or synced: more than the thread pool has threads. */
    fileOperationsMax: 16,
    /** With more files than this the whole file system is synced instead of each of them: 100,000 single syncs took 19 s on two busy cores. *guess* */
    syncEachMax: 1000,
    /** One read of a hashing thread. *guess*: fits the second-level cache. */
    hashReadBytes: 1 * MiB,
    /** Hashing threads; fewer where there are fewer processors. SHA-256 runs at 1.3-1.5 GiB/s each, most disks are slower than 8. */
    hashThreadsMax: 8,
    /** Chunks given to one hashing thread ahead, so that it never waits for the next. */
    hashQueueMax: 4,
    /** Up to so many bytes in so many files are hashed without starting a thread (about 40 ms each). */
    hashInlineBytesMax: 8 * MiB,
    hashInlineFilesMax: 256,
    /** Free space that must be left over, beside what each file costs in blocks and inodes. *guess* */
    spareBytes: 4 * MiB,
    /** Of each file, directory and symlink: the usual block, for what its last block wastes and its name. */
    spareBytesPerEntry: 4096,
    /** Tries to take the lock of a partial download while other processes come and go. */
    lockTriesMax: 5,
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
    /** Tries in a row before a peer is forgotten; the tracker names it again if it lives. *guess* */
    reconnectsMax: 6,
  },
  linger: {
    /** `--linger until-quiet` ends after so long although a neighbour lacks chunks: it may have stalled for good. *guess* */
    quietMsMax: 60_000,
    /** Quiet is looked for so often, and believed after so many looks in a row. *guess* */
    quietCheckMs: 250,
    quietChecks: 4,
    /** How long a leaving agent waits for the tracker to hear its goodbye. *guess* */
    goodbyeMs: 1_000,
  },
  exchange: {
    /** What one flow gets at most: 5 Gbit/s on EC2 outside a cluster placement group (field/theory.md 3.5). */
    flowBytesPerSecondMax: 625_000_000,
    /**
     * Chunks sent at one time, and chunks received from peers at one time: flows that fill the link x this / 100, and so
     * many more. As many one way as the other: with sender offers 60 machines took 1.115 (U,D = 12,14), 1.063 (14,14),
     * 1.067 (16,16), 1.103 (16,14), 1.261 (10,14) of the bound (sim/, headline link, `--join-spread 0`).
     */
    slotsPerFlowPercent: 125,
    slotsSpare: 4,
    /** Requests served after those, first come first served; further ones hear `busy` (Q = 0 / 1 / 2 / 4: 1.136 / 1.108 / 1.088 / 1.097). */
    uploadQueueMax: 2,
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
    /** Added to it for a chunk that its sender only passes on: the verdict on the sender's own source comes first. Ten looks (`housekeepingMs`). */
    passedOnGraceMs: 1000,
    /** At most one `chunk-progressed` an interval and transfer; `stalledMs` is judged by it. */
    progressIntervalMs: 250,
    /** Quarantine after a bad chunk from a sender that said it had verified it: for good, as far as one job goes. */
    corruptQuarantineMs: 3_600_000,
    /** After a bad chunk that the sender only passed on, after silence, or a wrong length: doubles with each strike. */
    strikeQuarantineMs: 20_000,
    /** Strikes of one peer before it counts as `corruptQuarantineMs`. libtorrent's smart-ban imitations use 3. */
    strikesMax: 3,
    quarantineRecordsMax: 1024,
    /** Candidates drawn for an offer, of which the rarest is taken (best of two: 1.087, random 1.088, pure rarest-first 1.105). */
    rarestOf: 2,
    /** A missing chunk that neighbours have and nobody offers is asked for after so long with a free download slot: heals lost messages. *guess* */
    askAfterMs: 500,
    /** How often stalled transfers, unanswered offers and due reconnects are looked for. *guess* */
    housekeepingMs: 100,
  },
  origin: {
    /** Pulls from the origin one agent keeps going. S3 gives 85-90 MB/s a connection (field/theory.md 3.3). */
    pullsMax: 16,
    /** Leases one agent holds: some beyond its pulls, so that none of them waits for the tracker's round trip. */
    leasesMax: 24,
    /** Tries of one chunk whose bytes from the origin have the wrong hash before the job fails. */
    corruptTriesMax: 3,
    /** Wait before a chunk is asked of the origin again after a failure; doubles, with jitter, up to the maximum. */
    retryMs: 200,
    retryMsMax: 20_000,
    /** Tries of one lease before it is given back for another agent. *guess* */
    leaseTriesMax: 5,
    /** An origin that refuses is fatal only when no neighbour could help for so long. *guess* */
    refusedGraceMs: 10_000,
  },
  originRequest: {
    /** Requests one agent has open at the embedded origin: every pull, and some for objects and uploads. More wait their turn. */
    connectionsMax: 40,
    /** A lost SYN costs 1 s, the second one 2 s more. *guess* */
    connectTimeoutMs: 5_000,
    /** No byte of an answer for so long: the try has failed. A busy store answers or throttles well before. *guess* */
    idleTimeoutMs: 20_000,
    /** Tries of one request; waits of 0..retryMs x 2^n (full jitter, AWS Builders' Library) make it 8 s on average, for a restart of the server. */
    triesMax: 8,
    retryMs: 200,
    retryMsMax: 5_000,
    /** A longer Retry-After is cut to this: the lease will have passed to another agent by then. *guess* */
    retryAfterMsMax: 10_000,
    /** Answers of one range read that may break off half way; each is resumed at the byte where it broke. At the next one the read fails. *guess* */
    resumesMax: 16,
    /** Read of an error's answer, for its message; the rest is thrown away. */
    errorBytesMax: 16 * 1024,
    /** Slices of a range read from a file. *guess*: as `disk.writeBytes`. */
    fileSliceBytes: 256 * 1024,
  },
  upload: {
    /** Parts of a large object are at least so long (the last one excepted). S3 refuses parts below 5 MiB; each costs a round trip and, at our origin, an fdatasync. */
    partBytesMin: 8 * MiB,
    /** S3's limit. A larger object gets longer parts. */
    partsMax: 10_000,
    /** Where no cut is allowed for so long, a part is cut inside a chunk after all, for it is held in memory whole. */
    partBytesMax: 128 * MiB,
    /** S3's limits: a longer part cannot be sent, a larger object cannot be stored (10,000 x 5 GiB). */
    partBytesLimit: 5 * 1024 * MiB,
    /** Parts under way at one time: 8 x 90 MB/s fill 5 Gbit/s (field/theory.md 3.3); fewer if they held more memory than `memoryBytesMax`. */
    partsAtOnceMax: 8,
    memoryBytesMax: 256 * MiB,
  },
  s3: {
    /** Tries of one request by the SDK (standard mode: 0..0.5 s x 2^n after SlowDown, up to 20 s): rides out half a minute of throttling. */
    triesMax: 8,
    /** Connections to S3; at it requests wait. Above `origin.pullsMax` plus `upload.partsAtOnceMax`. */
    connectionsMax: 64,
  },
  originServer: {
    /** Connections at one time; further ones are dropped at once. 1,000 agents that pull alone hold 32 each, but a server feeds only so many. */
    connectionsMax: 4_096,
    /** From the first byte of a request to the end of its headers: slow-loris. */
    headersTimeoutMs: 15_000,
    /** For a whole request with its body: a part of 8 MiB at 30 KB/s. */
    requestTimeoutMs: 300_000,
    /** A socket on which nothing moved for so long, in either direction, is cut, whatever it was doing. */
    stalledMs: 60_000,
    /** Idle connections are kept so long; clients stop using them one second earlier. */
    keepAliveMs: 60_000,
    /** close() lets running requests end for so long, then cuts them: uploads and reads resume. *guess* */
    closeGraceMs: 3_000,
    /** One object by PUT: a manifest at most. A longer one is refused before its body is read. */
    objectBytesMax: 256 * MiB,
    /** One part of an upload: a client of ours sends `upload.partBytesMax` plus a chunk at most. */
    partBytesMax: 5 * 1024 * MiB,
    /** A body that was refused unread is still taken up to here, so that its sender hears why; a longer one is cut. *guess* */
    drainBytesMax: 16 * MiB,
    /** Uploads begun and not completed; the next one is refused (429) until some are completed or swept. */
    uploadsMax: 256,
    /** A staged file that nobody wrote to for so long belongs to nobody any more. */
    stagingAgeMsMax: 24 * 3_600_000,
    sweepIntervalMs: 3_600_000,
    /** Read from disk and written to a socket at one time; each answer under way holds one such buffer (measured on loopback: 128 and 256 KiB both give 0.97 GiB/s; fs.createReadStream 0.66-0.78). */
    readBytes: 128 * 1024,
    /** Buffers kept for reuse; further ones are allocated and dropped. */
    buffersKept: 256,
    /** Said with 429 and 503: when to come again. */
    retryAfterMs: 1_000,
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
    /** When no peer and no leased pull moved a byte for so long, an agent that lacks chunks leases them to itself. *guess* */
    rescueAfterMs: 10_000,
    /** The next agent in that order takes over after so long. *guess* */
    takeoverMs: 3_000,
    starvingMax: 64,
    /** Leases in one list of one announce: a full window, and as many from before the tracker forgot. A longer list is refused. */
    leasesMax: 1024,
    /** Agents told as lost in one announce; as many as an agent has neighbours. The sender leaves out the rest: silence tells too. */
    lostMax: 64,
    /** Quarantined peers told in one announce; the sender leaves out the rest, for they are shown to people only. */
    quarantinedMax: 64,
  },
  lease: {
    /** Outstanding leases in one zone before anything is known of the origin (field/policy.md: base 3 / 6 / 12: 1.31 / 1.12 / 1.14). */
    outstandingBase: 6,
    /** Until the first completion, where no agent knows its link. More would share a slow line and hide how long one takes. *guess*: two, for one holder may die. */
    outstandingAtStart: 2,
    /** Outstanding grows to base + this x ((completions a second) x (shortest completion time) - 1). */
    outstandingPerBdp: 2,
    outstandingMax: 512,
    /** A lease that no announce renewed. Neighbours of a dead holder report it sooner (`lost`). */
    expiresMs: 15_000,
    /** An agent not heard of for so long has left the roster. */
    silentMs: 12_000,
    /** Asked again for a lease after so long, times the place in the queue, while the origin's rate is unknown. *guess* */
    retryMs: 50,
    retryMsMax: 2_000,
    /** Of the agents of one zone that queue, where no link is known. *guess*: half of what one process answers, on one core. */
    asksPerSecondMax: 2_000,
    /** Leases to an agent on its first announce: it may be the first of a thousand that start together. It asks again `retryMs` later. */
    newcomerMax: 1,
    /** Tokens of the lease clock a chunk time of the typical link (0.9 / 1.0 / 1.1 / 1.25 / 2: 1.163 / 1.069 / 1.091 / 1.102 / 1.169, N = 300; an S3-like origin bears 4). */
    tokensPerChunkTime: 1,
    /** Tokens that wait for a taker; further ones are lost, lest the origin's line is asked for a heap of chunks at once (field/policy.md: 2). */
    tokenBurst: 4,
    /** A token due this soon is given at once, with a start offset: hides the way to the tracker and back (field/policy.md). */
    tokenAheadMs: 15,
    /** From lease to delivered, on a known link, before one was seen: tracker 30 ms + first byte 30 ms (field/policy.md, Lmin), and the next announce that tells of it. At the headline this gives a window of 144 (80 to 165 do no harm). */
    completionMsAssumed: 70,
    /** Completions are counted for so long before they make a rate: announces bunch them. *guess* */
    rateSampleMsMin: 100,
    /** And for so many shortest completion times: leases that started together end together. 16 agents on 20 Mbit/s, links unknown: with 1 / 2 / 4 at most 14 / 10 / 9 leases are out, and each step grows slower (throw-away probe of the tracker). */
    rateSampleCompletions: 2,
    /** How long the best completion rate is believed. *guess*: BBR's longest filter. */
    rateMsMax: 10_000,
    /** Of the median link, in percent; below it an agent gets no leases while another can take them (with: 1.177, without: 1.038). */
    slowLinkPercent: 50,
    /** How long a tracker without memory lets running agents tell what they pull before it leases: one announce interval. */
    relearnMs: 3_000,
    /** Reports of one lost agent count together for so long: neighbours announce an interval apart, and jitter. */
    lostReportsMs: 4_000,
    /** Distinct agents that must report an agent as lost; one is enough in a zone of at most `lostAloneAgents`. */
    lostReporters: 2,
    lostAloneAgents: 3,
  },
  tracker: {
    /** Zones of one job; an agent of a further one is refused. A region has up to six. */
    zonesMax: 64,
    /** Runs of one agent that a newer one replaced, remembered so that their late announces change nothing; then the oldest is forgotten. */
    replacedBootsMax: 8,
    /** A job that nobody announces for so long is forgotten. *guess*: long against `lease.silentMs`, so that `status` still shows what was. */
    jobIdleMs: 600_000,
    /** What an agent refused for want of room hears as Retry-After. *guess* */
    fullRetryMs: 10_000,
    /** The client's limits: to connect, and to have the whole answer. Above `announce.intervalMs` an answer is stale anyway. */
    connectTimeoutMs: 2_000,
    answerTimeoutMs: 3_000,
    /** `agent status` waits longer: 20,000 agents make about 10 MB. */
    statusTimeoutMs: 15_000,
    /** 32 peers and 512 leases make 40 KB. */
    answerBytesMax: 1 * MiB,
    statusBytesMax: 64 * MiB,
    /** Connections of one client, kept open: one announce is under way at a time, `status` beside it. */
    connectionsMax: 2,
    /** An idle one is closed after so long, or sooner if the tracker says so: longer than the announce interval, shorter than NATs forget. */
    keepAliveMs: 20_000,
    /** Agents of one job; the next one is refused. */
    agentsMax: 20_000,
    jobsMax: 1_000,
    /** Peers in one answer. */
    peersPerAnswerMax: 32,
    /** Agents looked at for one answer. At it those found so far are handed out: who has few neighbours asks for itself. *guess*: eight for each peer. */
    peerDrawsMax: 256,
    announceBytesMax: 1 * MiB,
  },
  peers: {
    /** Chunks in one list of one message; a longer one is split by the sender and refused by the receiver. */
    updateChunksMax: 65_536,
    /** One line of a link. A hello with 1,000,000 chunks is 250 KB of hex. */
    lineBytesMax: 2 * MiB,
    /** Said to one neighbour and not yet taken by the network; must hold a longest line. At it the link is broken: a neighbour that reads nothing is no neighbour. */
    linkQueueBytesMax: 8 * MiB,
    /** From dialling (or being dialled) to both hellos; at it the peer counts as unreachable. *guess*: a lost SYN costs 1 s, then 2 s more. */
    linkTimeoutMs: 5_000,
    /** A session that dialled us and has said no good hello by then is closed. *guess* */
    helloTimeoutMs: 5_000,
    /** Every link is asked for a sign of life so often (17 bytes), and its window is reconsidered. */
    pingIntervalMs: 1_000,
    /** No byte from a neighbour for so long, not even the answer to a ping: the link is broken. Like `exchange.stalledMs`. */
    silentMs: 5_000,
    /** close() lets running uploads end for so long, and gives peers as long again to see our goodbye. *guess* */
    closeGraceMs: 1_000,
    /** TCP connections that peers hold to us: a neighbour needs one, for moments two. Beyond it they are dropped at once. */
    inboundSessionsMax: 256,
    /** Requests on one inbound session that we answered 4xx; at the next one the session is closed. */
    rejectionsPerSessionMax: 8,
    /** Requests open at one time on one session; nghttp2 refuses more. Core asks for `exchange.downloadsPerPeerMax`. */
    streamsPerSessionMax: 64,
    /** Header block of one request; ours have about 300 bytes. */
    headerListBytesMax: 8 * 1024,
    /** Resets that a peer may send in a burst, and per second after it (rapid reset, CVE-2023-44487); at it nghttp2 ends the session. */
    streamResetBurst: 1_000,
    streamResetsPerSecond: 33,
    /** Read from disk and written to the network at one time. Small, for a cancel leaks what was queued (field/prototype.md, pitfall 1). */
    uploadSliceBytes: 128 * 1024,
    /** One slice not taken by the network for so long: the requester does not read, and its upload ends. *guess*: twice `exchange.stalledMs`, at which an honest one has given up. */
    uploadStalledMs: 10_000,
    /** Slice buffers kept for reuse: two an upload for 32 uploads. More are allocated when needed, and not kept. */
    uploadBuffersKept: 64,
    /** Received but not yet taken by the disk, one download; then its stream is paused and HTTP/2 flow control holds the sender. */
    sinkQueueBytesMax: 256 * 1024,
    /** In 10^6 bytes, as node:http2 counts it. Far above need: at the default of 10 honest streams are refused (pitfalls 1 and 3). */
    sessionMemoryMax: 4_096,
    /** Streams of one session that ended early; then it is replaced in the background, for node:http2 never gives back what they had queued (pitfall 1). */
    cancelsPerSessionMax: 256,
    /** HTTP/2 connection window where chunks come in. Never the brake (that is the stream window): the largest window x downloadsPerPeerMax. */
    sessionWindowBytes: 4 * MiB,
    /** HTTP/2 windows, of connection and stream, where only lines come in. */
    linkWindowBytes: 256 * 1024,
    /** HTTP/2 stream window for chunks before anything is measured; then agent/peers/stream-window.ts within Min and Max (20 Mbit/s: 32 KiB 1.13x, 256 KiB 1.21x). */
    streamWindowBytesStart: 256 * 1024,
    streamWindowBytesMin: 32 * 1024,
    /** Also what one sender may leave in our memory: five of them at 4 MiB took an agent close to 200 MB. 1 MiB carries 8 Gbit/s at 1 ms, more than EC2 gives one flow. */
    streamWindowBytesMax: 1 * MiB,
    /** Of a loaded round trip, what is believed to be path and event loop rather than our own queue. *guess* that gives 32 KiB where five flows share 20 Mbit/s. */
    roundTripSlackMs: 10,
    /** The window changes no sooner after its last change: evidence of before and after must not mix. *guess* */
    streamWindowHoldMs: 3_000,
  },
  demo: {
    /** An agent that was asked to leave has so long to say goodbye; then it is killed. *guess* */
    leaveMs: 5000,
    /** More agents than that ask for more than one machine. */
    agentsMax: 200,
  },
  display: {
    /** A terminal picture is drawn anew: five a second look alive and cost no core. */
    frameMs: 200,
    /** Between two plain lines; a log of a long transfer stays readable. */
    lineMs: 3000,
    /** Between two JSON lines, unless `--every` says otherwise. */
    jsonMs: 1000,
  },
} as const;

assert(config.graph.neighboursAimed < config.graph.neighboursMax, 'a full neighbour must be able to take newcomers');
assert(config.peers.linkQueueBytesMax > 2 * config.peers.lineBytesMax, 'a longest line must fit the queue of a link');
assert(
  config.peers.sessionWindowBytes >= config.peers.streamWindowBytesMax * config.exchange.downloadsPerPeerMax,
  'the connection window must not be the brake',
);
assert(config.lease.expiresMs > 2 * config.announce.intervalMs, 'a lease must survive one lost announce');
assert(config.announce.leasesMax >= 2 * config.lease.outstandingMax, 'all leases of one agent must fit one announce');
assert(
  config.lease.lostReportsMs * 100 > config.announce.intervalMs * (100 + config.announce.jitterPercent),
  'reports of two neighbours must be able to meet',
);
assert(config.tracker.agentsMax < 0x1_0000, 'copies of a chunk are counted in 16 bits');
assert(config.tracker.jobIdleMs > config.lease.silentMs, 'a job must outlive its agents');
assert(config.lease.silentMs > 2 * config.announce.intervalMs, 'an agent must survive one lost announce');
assert(
  config.exchange.stalledMs > 2 * config.exchange.progressIntervalMs,
  'progress must be told before silence is judged',
);
