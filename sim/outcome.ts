import type { Bytes, Millis } from '../core/ids.ts';
import { boundMs, startMs } from './bounds.ts';
import type { Machine } from './machine.ts';
import { chunkCount, type Scenario, type Strategy } from './scenario.ts';

/** What a run came to; `agent simulate --json` prints it as it is. Times are from the first join. */
export type Outcome = {
  readonly strategy: Strategy;
  readonly machines: number;
  readonly chunks: number;
  readonly boundMs: Millis;
  readonly startMs: Millis;
  /** The last machine to be complete, of those that live; `undefined` if none is. */
  readonly lastMs: Millis | undefined;
  readonly p50Ms: Millis | undefined;
  readonly p99Ms: Millis | undefined;
  readonly rawRatio: number | undefined;
  readonly ratioToBound: number | undefined;
  /** The same for the machines at full speed alone. */
  readonly fullSpeedLastMs: Millis | undefined;
  readonly fullSpeedRatioToBound: number | undefined;
  readonly originCopies: number;
  readonly duplicateBytes: Bytes;
  readonly crossZoneBytes: Bytes;
  readonly messagesPerAgent: number;
  readonly trackerCalls: number;
  readonly trackerCallsPerAgent: number;
  readonly killed: number;
  /** Live machines that never got the whole file. */
  readonly lost: number;
  readonly virtualMs: Millis;
  readonly steps: number;
  readonly traceHash: string;
};

/** When each live machine was complete, or `undefined` if it never was. */
export type Completion = { readonly machine: Machine; readonly completeAt: Millis | undefined };

/** What a run has counted besides. */
export type Counted = {
  readonly originBytes: Bytes;
  readonly duplicateBytes: Bytes;
  readonly crossZoneBytes: Bytes;
  readonly messages: number;
  readonly trackerCalls: number;
  readonly virtualMs: Millis;
  readonly steps: number;
  readonly traceHash: string;
};

export function outcomeOf(scenario: Scenario, completions: readonly Completion[], counted: Counted): Outcome {
  const { machines } = scenario;
  const ends = sortedEnds(completions);
  const fullSpeedEnds = sortedEnds(completions.filter(({ machine }) => !machine.isSlow));
  const lastJoinMs = completions.reduce((last, { machine }) => Math.max(last, machine.joinAt), 0);
  const bound = boundMs(scenario);
  const start = startMs(scenario, lastJoinMs);
  const ratio = (end: Millis | undefined) => (end === undefined ? undefined : (end - start) / bound);
  const lastMs = ends.at(-1);
  return {
    strategy: scenario.strategy,
    machines,
    chunks: chunkCount(scenario),
    boundMs: bound,
    startMs: start,
    lastMs,
    p50Ms: percentile(ends, 50),
    p99Ms: percentile(ends, 99),
    rawRatio: lastMs === undefined ? undefined : lastMs / bound,
    ratioToBound: ratio(lastMs),
    fullSpeedLastMs: fullSpeedEnds.at(-1),
    fullSpeedRatioToBound: ratio(fullSpeedEnds.at(-1)),
    originCopies: counted.originBytes / scenario.sizeBytes,
    duplicateBytes: counted.duplicateBytes,
    crossZoneBytes: counted.crossZoneBytes,
    messagesPerAgent: counted.messages / machines,
    trackerCalls: counted.trackerCalls,
    trackerCallsPerAgent: counted.trackerCalls / machines,
    killed: machines - completions.length,
    lost: completions.length - ends.length,
    virtualMs: counted.virtualMs,
    steps: counted.steps,
    traceHash: counted.traceHash,
  };
}

function sortedEnds(completions: readonly Completion[]): readonly Millis[] {
  return completions.flatMap(({ completeAt }) => completeAt ?? []).sort((one, other) => one - other);
}

/** Nearest rank: the smallest value that `percent` of all do not exceed. */
function percentile(sorted: readonly Millis[], percent: number): Millis | undefined {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)];
}
