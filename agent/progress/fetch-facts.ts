import type { Bytes } from '../../core/ids.ts';
import { formatBytes } from '../byte-size.ts';
import { formatDuration } from '../duration.ts';
import type { FetchResult, Linger } from '../fetch.ts';
import type { FetchProgress } from '../fetch-progress.ts';
import type { Fact } from './display.ts';

/** The destination is in place. */
export function placedFact(
  result: FetchResult,
  progress: FetchProgress,
  place: { readonly dest: string; readonly peakRssBytes: Bytes | undefined },
): Fact {
  const { kind, manifest, placedAfterMs } = result;
  return {
    line: kind === 'already-complete' ? completeLine(result, place.dest) : fetchedLine(result, progress, place.dest),
    json: {
      kind: 'done',
      outcome: kind,
      job: manifest.job,
      dest: place.dest,
      lengthBytes: manifest.lengthBytes,
      chunkCount: manifest.chunks.length,
      placedAfterMs,
      ...countersOf(progress),
      peakRssBytes: place.peakRssBytes,
    },
  };
}

export function seedingFact(linger: Linger): Fact {
  const until = linger.kind === 'for' ? formatDuration(linger.lengthMs) : 'as long as a neighbour lacks chunks';
  return { line: `serving others for ${until}; Ctrl-C to leave now`, json: { kind: 'seeding', until } };
}

/** The run is over, lingering too. */
export function leftFact(progress: FetchProgress, peakRssBytes: Bytes | undefined): Fact {
  return {
    line: `left after ${formatDuration(progress.elapsedMs)}: sent ${formatBytes(progress.bytesUploaded)} to others`,
    json: { kind: 'left', job: progress.job, elapsedMs: progress.elapsedMs, ...countersOf(progress), peakRssBytes },
  };
}

function completeLine({ manifest }: FetchResult, dest: string): string {
  return `already complete: ${dest} holds job ${manifest.job}, ${formatBytes(manifest.lengthBytes)}, verified`;
}

function fetchedLine({ manifest, placedAfterMs }: FetchResult, progress: FetchProgress, dest: string): string {
  const sources = [
    `${formatBytes(progress.bytesFromOrigin)} from the origin`,
    `${formatBytes(progress.bytesFromPeers)} from other agents`,
    ...(progress.resumedBytes > 0 ? [`${formatBytes(progress.resumedBytes)} were here already`] : []),
  ];
  const took = formatDuration(placedAfterMs);
  return `done: ${dest}, ${formatBytes(manifest.lengthBytes)} in ${took}, verified; ${sources.join(', ')}`;
}

function countersOf(progress: FetchProgress): object {
  const { resumedBytes, bytesFromOrigin, bytesFromPeers, bytesUploaded, duplicateBytes } = progress;
  return { resumedBytes, bytesFromOrigin, bytesFromPeers, bytesUploaded, duplicateBytes };
}
