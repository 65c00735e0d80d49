import { once } from 'node:events';
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { type JobManifest, readJobManifest } from '../../agent/job-manifest.ts';
import { OriginChunks } from '../../agent/origin-chunks.ts';
import { openOrigin } from '../../agent/origins/open-origin.ts';
import { peerToken } from '../../agent/peer-token.ts';
import { helloLine, readHello } from '../../agent/peers/lines.ts';
import { headerNames, linkPath, parseRoute } from '../../agent/peers/wire.ts';
import { TrackerClient } from '../../agent/tracker-client.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { parseAgentId, parseBootId, parseJobId, parseZone } from '../../core/ids.ts';
import type { PeerEntry } from '../../core/peer-message.ts';

/**
 * A process that joins a job as a good agent would: token, announces, links, hello. It says that it has every chunk,
 * and offers them. Whoever takes one gets what its misdeed is; each request is a line on stdout.
 */
export type Misdeed = keyof typeof MISDEEDS;

const MISDEEDS = {
  'wrong bytes': (stream, lengthBytes) => answer(stream, { promisedBytes: lengthBytes, sentBytes: lengthBytes }),
  'wrong bytes passed on': (stream, lengthBytes) => {
    answer(stream, { promisedBytes: lengthBytes, sentBytes: lengthBytes, source: 'arriving' });
  },
  'too few bytes': (stream, lengthBytes) => answer(stream, { promisedBytes: lengthBytes, sentBytes: lengthBytes - 1 }),
  'too many bytes': (stream, lengthBytes) => answer(stream, { sentBytes: lengthBytes + 1 }),
  'no answer': () => undefined,
  'half an answer': (stream, lengthBytes) => {
    stream.respond({ ':status': 200, 'content-length': lengthBytes, [headerNames.source]: 'verified' });
    stream.write(Buffer.alloc(lengthBytes / 2));
  },
  excuses: stream => stream.respond({ ':status': 404 }, { endStream: true }),
} as const satisfies Record<string, (stream: ServerHttp2Stream, lengthBytes: number) => void>;

const ANNOUNCE_EVERY_MS = 500;

async function main([url = '', jobText = '', name = '']: readonly string[]): Promise<void> {
  // A test run that is killed takes its peers with it.
  process.once('disconnect', () => process.exit(1));
  const misdeed = Object.entries(MISDEEDS).find(([known]) => known === name)?.[1];
  if (misdeed === undefined) throw new Error(`no misdeed ${name}`);
  const origin = await openOrigin(url, {});
  const job = await readJobManifest(origin, parseJobId(jobText), new AbortController().signal);
  const chunks = new OriginChunks(origin, job.manifest);
  const peer = new EvilPeer(job, (stream, chunk) => misdeed(stream, chunks.lengthOf(chunk)));
  await peer.listen();
  const tracker = new TrackerClient(new URL(url), undefined);
  await peer.announce(tracker);
  say({ kind: 'joined', agentId: peer.self.agentId });
  setInterval(() => void peer.announce(tracker), ANNOUNCE_EVERY_MS);
}

class EvilPeer {
  self: PeerEntry;
  readonly #job: JobManifest;
  readonly #authorization: string;
  readonly #have: ChunkSet;
  readonly #server = createServer();
  readonly #dialled = new Set<string>();

  constructor(job: JobManifest, misbehave: (stream: ServerHttp2Stream, chunk: number) => void) {
    this.#job = job;
    this.#authorization = `Bearer ${peerToken(job.bytes)}`;
    this.#have = ChunkSet.full(job.manifest.chunks.length);
    this.self = {
      agentId: parseAgentId('evil'),
      bootId: parseBootId('evil-1'),
      host: '127.0.0.1',
      port: 1,
      zone: parseZone('local'),
    };
    this.#server.on('session', session => session.on('error', () => undefined));
    this.#server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      const route = this.#routeOf(headers);
      if (route.kind === 'link') return this.#linked(stream);
      if (route.kind === 'unknown') return stream.respond({ ':status': 404 }, { endStream: true });
      say({ kind: 'asked', chunk: route.chunk });
      return misbehave(stream, route.chunk);
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, this.self.host);
    await once(this.#server, 'listening');
    const address = this.#server.address();
    this.self = { ...this.self, port: typeof address === 'object' && address ? address.port : 0 };
  }

  async announce(tracker: TrackerClient): Promise<void> {
    const { manifest, digest } = this.#job;
    const { agentId, bootId, host, port, zone } = this.self;
    const result = await tracker.announce({
      ...{ agentId, bootId, host, port, zone },
      job: manifest.job,
      manifestDigest: digest,
      chunkLengthBytes: manifest.chunkLengthBytes,
      state: 'seeding',
      have: this.#have,
      pulling: [],
      returned: [],
      leasesWanted: 0,
      starving: [],
      lost: [],
      peersWanted: 8,
      neighbourCount: this.#dialled.size,
      linkBytesPerSecond: undefined,
      progress: {
        bytesFromOrigin: 0,
        bytesFromPeers: 0,
        bytesUploaded: 0,
        duplicateBytes: 0,
        rateBytesPerSecond: 0,
        quarantined: [],
      },
    });
    if (result.kind === 'answered') for (const peer of result.answer.peers) this.#dial(peer);
  }

  #routeOf(headers: IncomingHttpHeaders & { ':method'?: string | undefined; ':path'?: string | undefined }) {
    const { job, chunks } = this.#job.manifest;
    return parseRoute({ method: headers[':method'], path: headers[':path'] }, job, chunks.length);
  }

  /** Somebody dialled us: it must be dialled too, or there is no link. */
  #linked(stream: ServerHttp2Stream): void {
    stream.respond({ ':status': 200 });
    createInterface({ input: stream }).on('line', line => {
      const hello = readHello(line, this.#job.manifest.chunks.length);
      if (hello) this.#dial(hello.from);
    });
  }

  /** Once a run of a peer: whoever sends us away is not asked again. */
  #dial(peer: PeerEntry): void {
    const run = `${peer.agentId}/${peer.bootId}`;
    if (this.#dialled.has(run)) return;
    this.#dialled.add(run);
    const session = connect(`http://${peer.host}:${peer.port}`);
    session.on('error', () => undefined);
    const headers = { authorization: this.#authorization, [headerNames.to]: run };
    const path = linkPath(this.#job.manifest.job);
    const stream = session.request({ ':method': 'POST', ':path': path, ...headers }, { endStream: false });
    stream.on('error', () => undefined);
    stream.resume();
    stream.write(helloLine({ kind: 'hello', from: this.self, have: this.#have, arriving: [] }));
    stream.on('response', () => {
      for (const chunk of this.#have) stream.write(`${JSON.stringify({ kind: 'offer', chunk })}\n`);
    });
  }
}

function answer(
  stream: ServerHttp2Stream,
  how: { readonly promisedBytes?: number; readonly sentBytes: number; readonly source?: 'verified' | 'arriving' },
): void {
  const promise = how.promisedBytes === undefined ? {} : { 'content-length': how.promisedBytes };
  stream.respond({ ':status': 200, ...promise, [headerNames.source]: how.source ?? 'verified' });
  stream.end(Buffer.alloc(how.sentBytes));
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

if (import.meta.main) await main(process.argv.slice(2));
