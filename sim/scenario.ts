import type { Locality } from '../core/announce-answer.ts';
import type { Bytes, Millis } from '../core/ids.ts';

export type Strategy = 'single' | 'replicated' | 'sharded' | 'tracker';

/** One world, whole: the same scenario gives the same run. Rates are bytes a second, as everywhere outside the network. */
export type Scenario = {
  readonly strategy: Strategy;
  readonly seed: number;
  readonly machines: number;
  readonly sizeBytes: Bytes;
  readonly chunkBytes: Bytes;
  readonly linkBytesPerSecond: number;
  /** What one connection between machines reaches, as a share of the link (EC2: 5 of 40 Gbit/s). */
  readonly flowShare: number;
  readonly rttMs: Millis;
  readonly zones: number;
  readonly crossZoneRttMs: Millis;
  readonly locality: Locality;
  /** Joins are spread evenly at random over so long; the first is at 0. */
  readonly joinSpreadMs: Millis;
  readonly slow: { readonly share: number; readonly speed: number } | undefined;
  /** Machines that lose power at a random moment in `0.2..0.8` of the file time. */
  readonly killShare: number;
  readonly origin: OriginScenario;
  readonly tracker: TrackerScenario;
  /** Origin machines of the strategies `replicated` and `sharded`. */
  readonly originMachines: number;
  /** Between the last byte and the verdict on the chunk; hashing itself happens while receiving. */
  readonly verifyMs: Millis;
  /** What an agent collects of a chunk before it passes it on. */
  readonly passOnBytes: Bytes;
  /** Until a peer notices that the other end of a link is silent (host dead, not only the process). */
  readonly silenceMs: Millis;
  /** Until a dialer gives up on a machine that does not answer at all. */
  readonly dialTimeoutMs: Millis;
  /** Virtual time after which a run is given up; what is missing then is `lost`. */
  readonly horizonMs: Millis;
  /** Take a sample of the curves this often; `undefined`: none. */
  readonly sampleMs: Millis | undefined;
};

export type OriginScenario = {
  readonly kind: 'single' | 's3';
  /** All connections together; `Infinity` for S3. */
  readonly bytesPerSecond: number;
  /** One connection; `Infinity`: as fast as the machine's own flows. */
  readonly connectionBytesPerSecond: number;
  readonly firstByteMs: Millis;
  /** Requests beyond it in one second are answered with 503. */
  readonly requestsPerSecondMax: number;
};

export type TrackerScenario = {
  /** From the call to its answer. */
  readonly latencyMs: Millis;
  /** Calls that arrive within it fail. */
  readonly outage: { readonly fromMs: Millis; readonly untilMs: Millis } | undefined;
  /** Calls beyond it in one second are answered with "too many requests". */
  readonly callsPerSecondMax: number;
};

const GIGABIT = 1e9 / 8;

/** The headline of the project: 5 GB in 1,000 chunks to 1,000 machines at 40 Gbit/s (design section 9). */
export const headline: Scenario = {
  strategy: 'tracker',
  seed: 1,
  machines: 1000,
  sizeBytes: 5e9,
  chunkBytes: 5e6,
  linkBytesPerSecond: 40 * GIGABIT,
  flowShare: 1 / 8,
  rttMs: 0.3,
  zones: 1,
  crossZoneRttMs: 1,
  locality: 'zone',
  joinSpreadMs: 100,
  slow: undefined,
  killShare: 0,
  origin: singleOrigin(40 * GIGABIT),
  tracker: { latencyMs: 30, outage: undefined, callsPerSecondMax: Number.POSITIVE_INFINITY },
  originMachines: 10,
  verifyMs: 0,
  passOnBytes: 65_536,
  silenceMs: 5000,
  dialTimeoutMs: 3000,
  horizonMs: 3_600_000,
  sampleMs: undefined,
};

export function singleOrigin(bytesPerSecond: number): OriginScenario {
  return {
    kind: 'single',
    bytesPerSecond,
    connectionBytesPerSecond: Number.POSITIVE_INFINITY,
    firstByteMs: 30,
    requestsPerSecondMax: Number.POSITIVE_INFINITY,
  };
}

/** 90 MB/s a connection and 5,500 GET/s a prefix (field/theory.md 3.3). */
export function s3Origin(): OriginScenario {
  return {
    kind: 's3',
    bytesPerSecond: Number.POSITIVE_INFINITY,
    connectionBytesPerSecond: 90e6,
    firstByteMs: 30,
    requestsPerSecondMax: 5500,
  };
}

export function chunkCount(scenario: Pick<Scenario, 'sizeBytes' | 'chunkBytes'>): number {
  return Math.ceil(scenario.sizeBytes / scenario.chunkBytes);
}

/** The last chunk is shorter. */
export function chunkLength(scenario: Pick<Scenario, 'sizeBytes' | 'chunkBytes'>, chunk: number): Bytes {
  return Math.min(scenario.chunkBytes, scenario.sizeBytes - chunk * scenario.chunkBytes);
}
