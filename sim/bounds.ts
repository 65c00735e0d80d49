import type { Millis } from '../core/ids.ts';
import { chunkCount, type Scenario } from './scenario.ts';

/** How long the file takes on the narrower of a machine's link and the origin's. */
export function fileTimeMs(scenario: Scenario): Millis {
  const slower = Math.min(scenario.linkBytesPerSecond, scenario.origin.bytesPerSecond);
  return (scenario.sizeBytes / slower) * 1000;
}

/**
 * The least time in which one source can give `machines` equal machines a file of M chunks: 1 + floor(log2 N) / M file
 * times (Mundinger, Weber, Weiss, "Optimal scheduling of peer-to-peer file dissemination", J. Scheduling 11, 2008).
 * It knows of no latency, no per-flow cap and no zones.
 */
export function boundMs(scenario: Scenario): Millis {
  return fileTimeMs(scenario) * (1 + Math.floor(Math.log2(scenario.machines)) / chunkCount(scenario));
}

/**
 * The earliest moment at which all machines can be receiving: the last to join has joined and heard from the tracker,
 * and the first byte that the origin can give to anybody is out.
 */
export function startMs(scenario: Scenario, lastJoinMs: Millis): Millis {
  const answered = scenario.tracker.latencyMs;
  return Math.max(lastJoinMs + answered, answered + scenario.origin.firstByteMs);
}
