/**
 * Which HTTP/2 client fetches chunks best: node:http2 itself, or undici on top of it? Both get the same chunks from the
 * same server (the product's own upload code, chunks in memory), interleaved, in processes of their own.
 *
 *   node bench/peer-client.ts [rounds]
 *
 * Prints one line a case: GiB/s of both and their ratio, CPU seconds of the client for a GiB, peak RSS of the client
 * process. Medians over the rounds; the spread is printed behind.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type ServerHttp2Session } from 'node:http2';
import { performance } from 'node:perf_hooks';
import { Client } from 'undici';
import { receiveChunk } from '../agent/peers/chunk-download.ts';
import { ChunkUpload } from '../agent/peers/chunk-upload.ts';
import { createPeerServer, listenOn } from '../agent/peers/peer-server.ts';
import { SliceBuffers } from '../agent/peers/slice-buffers.ts';
import { assert } from '../core/assert.ts';
import { config } from '../core/config.ts';
import { MemoryChunkStore } from '../test/agent/peers/memory-chunk-store.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
const CHUNK_LENGTHS = [1 * MiB, 4 * MiB];
const STREAMS = [1, 8];
/** What one client fetches in one round of one case. */
const ROUND_BYTES = 768 * MiB;
const CLIENTS = ['node:http2', 'undici'] as const;

type Round = { readonly streams: number; readonly chunk: number };
type Measured = {
  readonly gibPerSecond: number;
  readonly cpuSecondsPerGib: number;
  readonly rssMiB: number;
};
/** Fetches one chunk; resolves with its length. */
type Fetch = (chunk: number) => Promise<number>;

const [role, argument] = process.argv.slice(2);
if (role === 'server') await serve();
else if (role === 'client') await answerRounds(await (argument === 'undici' ? undiciFetch() : nodeFetch()));
else await compare(Number(role ?? '7'));

async function compare(rounds: number): Promise<void> {
  const server = fork(import.meta.filename, ['server']);
  const [port] = await once(server, 'message');
  const env = { ...process.env, PEER_PORT: String(port) };
  const clients = CLIENTS.map(name => fork(import.meta.filename, ['client', name], { env }));
  console.log(`node ${process.version}, ${rounds} rounds of ${ROUND_BYTES / MiB} MiB, ${CLIENTS.join(' against ')}`);
  for (const chunk of CHUNK_LENGTHS.keys()) {
    for (const streams of STREAMS) {
      const results = await runCase(clients, { streams, chunk }, rounds);
      console.log(lineOf({ streams, chunk }, results));
    }
  }
  for (const child of [server, ...clients]) child.kill();
}

/** The results of each client, in the order of CLIENTS; who goes first changes with every round. */
async function runCase(
  clients: readonly ChildProcess[],
  round: Round,
  rounds: number,
): Promise<readonly (readonly Measured[])[]> {
  const results = clients.map((): Measured[] => []);
  // One more: the first warms the code up and is not counted.
  for (let count = 0; count <= rounds; count += 1) {
    const order = count % 2 === 0 ? [...clients.keys()] : [...clients.keys()].reverse();
    for (const index of order) {
      const client = clients[index];
      assert(client !== undefined, 'a client for every index');
      client.send(round);
      const [message] = await once(client, 'message');
      if (count > 0) results[index]?.push(parseMeasured(message));
    }
  }
  return results;
}

function lineOf(round: Round, results: readonly (readonly Measured[])[]): string {
  const [node, undici] = results;
  assert(node !== undefined && undici !== undefined, 'two clients');
  const of = (measured: readonly Measured[], field: keyof Measured) => measured.map(one => one[field]);
  const pairRatios = node.map((one, index) => (undici[index]?.gibPerSecond ?? 0) / one.gibPerSecond);
  const pair = (field: keyof Measured) =>
    `${median(of(node, field)).toFixed(2)} / ${median(of(undici, field)).toFixed(2)}`;
  return [
    `${(CHUNK_LENGTHS[round.chunk] ?? 0) / MiB} MiB x ${round.streams}:`,
    `GiB/s ${pair('gibPerSecond')},`,
    `undici is ${median(pairRatios).toFixed(2)} (${spread(pairRatios)}) of node:http2;`,
    `CPU s/GiB ${pair('cpuSecondsPerGib')}; RSS MiB ${pair('rssMiB')}`,
  ].join(' ');
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >>> 1] ?? 0;
}

function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(2)}..${Math.max(...values).toFixed(2)}`;
}

/** From our own child: trusted. */
function parseMeasured(message: unknown): Measured {
  return message as Measured;
}

async function serve(): Promise<void> {
  const store = MemoryChunkStore.holding(CHUNK_LENGTHS.map(length => new Uint8Array(length).fill(7)));
  const deps = {
    store,
    buffers: new SliceBuffers(config.peers.uploadSliceBytes, config.peers.uploadBuffersKept),
    lengthOf: (chunk: number) => CHUNK_LENGTHS[chunk] ?? 0,
    onReadFailed: (_chunk: number, cause: unknown) => {
      throw cause;
    },
  };
  const server = createPeerServer((session: ServerHttp2Session) => {
    session.on('error', () => undefined);
    session.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      new ChunkUpload(stream, Number(headers[':path']?.slice(1))).serve(deps);
    });
  });
  process.send?.(await listenOn(server, { host: '127.0.0.1', port: 0 }));
}

/** Answers every Round with its Measured. */
async function answerRounds(fetchChunk: Fetch): Promise<void> {
  process.on('message', (round: Round) => {
    void measure(fetchChunk, round).then(measured => process.send?.(measured));
  });
}

async function measure(fetchChunk: Fetch, round: Round): Promise<Measured> {
  const length = CHUNK_LENGTHS[round.chunk] ?? 0;
  let left = ROUND_BYTES / length;
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const received = await fetchChunk(round.chunk);
      assert(received === length, `a chunk of ${length}, not ${received}`);
    }
  };
  await Promise.all(Array.from({ length: round.streams }, worker));
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const gib = ROUND_BYTES / GiB;
  return {
    gibPerSecond: gib / seconds,
    cpuSecondsPerGib: (user + system) / 1e6 / gib,
    rssMiB: process.resourceUsage().maxRSS / 1024,
  };
}

function serverUrl(): string {
  return `http://127.0.0.1:${process.env['PEER_PORT']}`;
}

/** The product's own download, with a sink that does nothing. */
async function nodeFetch(): Promise<Fetch> {
  const session = connect(serverUrl(), { settings: { initialWindowSize: config.peers.streamWindowBytesMax } });
  await once(session, 'connect');
  session.setLocalWindowSize(config.peers.sessionWindowBytes);
  const { signal } = new AbortController();
  return async chunk => {
    let received = 0;
    const outcome = await receiveChunk(session.request({ ':path': `/${chunk}` }), {
      lengthBytes: CHUNK_LENGTHS[chunk] ?? 0,
      signal,
      onHead: () => undefined,
      sink: async slice => {
        received += slice.length;
      },
    });
    return outcome.kind === 'received' ? received : -1;
  };
}

/** undici's leanest way (`dispatch`, no streams), with the same windows and the same rule of back-pressure. */
async function undiciFetch(): Promise<Fetch> {
  // undici's types do not know `useH2c` yet; a value of its own passes them.
  const options = {
    allowH2: true,
    useH2c: true,
    pipelining: config.peers.streamsPerSessionMax,
    maxConcurrentStreams: config.peers.streamsPerSessionMax,
    initialWindowSize: config.peers.streamWindowBytesMax,
    connectionWindowSize: config.peers.sessionWindowBytes,
  };
  const client = new Client(serverUrl(), options);
  return chunk =>
    new Promise((resolve, reject) => {
      let received = 0;
      let queuedBytes = 0;
      let isDraining = false;
      const queue: Uint8Array[] = [];
      const sink = async (slice: Uint8Array) => {
        received += slice.length;
      };
      const drain = async (resume: () => void) => {
        isDraining = true;
        for (let slice = queue.shift(); slice; slice = queue.shift()) {
          await sink(slice);
          queuedBytes -= slice.length;
          if (queuedBytes === 0) resume();
        }
        isDraining = false;
      };
      client.dispatch(
        { method: 'GET', path: `/${chunk}` },
        {
          onRequestStart: () => undefined,
          onResponseStart: () => undefined,
          onResponseData: (controller, slice) => {
            queue.push(slice);
            queuedBytes += slice.length;
            if (queuedBytes >= config.peers.sinkQueueBytesMax) controller.pause();
            if (!isDraining) void drain(() => controller.paused && controller.resume());
          },
          onResponseEnd: () => setImmediate(() => resolve(received)),
          onResponseError: (_controller, error) => reject(error),
        },
      );
    });
}
