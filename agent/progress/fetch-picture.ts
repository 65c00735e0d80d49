import { unreachable } from '../../core/assert.ts';
import type { Bytes } from '../../core/ids.ts';
import { formatBytes, formatRate } from '../byte-size.ts';
import { formatDuration } from '../duration.ts';
import type { FetchProgress } from '../fetch-progress.ts';
import { type BarPart, drawBar } from './bar.ts';
import type { FrameSize, Picture } from './display.ts';
import type { Palette } from './palette.ts';

const NAME_COLUMNS_MAX = 24;
const BAR_COLUMNS_MAX = 60;
const BAR_COLUMNS_MIN = 10;
/** Quarantined peers that are named; the rest is counted. */
const QUARANTINED_SHOWN_MAX = 3;

export function fetchPicture(progress: FetchProgress, palette: Palette): Picture {
  return {
    phase: progress.phase,
    frame: size => frameOf(progress, palette, size),
    line: () => lineOf(progress),
    json: () => ({ kind: 'progress', ...progress, percent: percentOf(progress) }),
  };
}

/** 0..100 with one digit, rounded down: 100 means complete. A job without bytes is complete once it is known. */
export function percentOf(
  progress: Pick<FetchProgress, 'haveBytes' | 'lengthBytes'> & { readonly phase: string },
): number {
  if (progress.lengthBytes === 0) return progress.phase === 'starting' ? 0 : 100;
  return Math.floor((progress.haveBytes / progress.lengthBytes) * 1000) / 10;
}

/** Where the verified bytes came from, as shares of the job. Bytes thrown away are in the counters, not in the bar. */
export function barPartsOf(
  progress: Pick<FetchProgress, 'haveBytes' | 'lengthBytes' | 'resumedBytes' | 'bytesFromOrigin' | 'bytesFromPeers'>,
): readonly BarPart[] {
  const { haveBytes, lengthBytes, resumedBytes, bytesFromOrigin, bytesFromPeers } = progress;
  const haveShare = lengthBytes === 0 ? 1 : haveBytes / lengthBytes;
  const counted = Math.max(1, resumedBytes + bytesFromOrigin + bytesFromPeers);
  const share = (bytes: Bytes): number => (haveShare * bytes) / counted;
  return [
    { share: share(resumedBytes), from: 'disk' },
    { share: share(bytesFromOrigin), from: 'origin' },
    { share: share(bytesFromPeers), from: 'peers' },
  ];
}

function frameOf(progress: FetchProgress, palette: Palette, { columns }: FrameSize): string {
  const name = clipped(progress.job, NAME_COLUMNS_MAX);
  const numbers = `${percentText(progress)}  ${amountText(progress)}  ${pace(progress)}`;
  const beside = Math.min(BAR_COLUMNS_MAX, columns - name.length - numbers.length - 5);
  const isNarrow = beside < BAR_COLUMNS_MIN;
  const bar = drawBar(barPartsOf(progress), isNarrow ? Math.min(BAR_COLUMNS_MAX, columns) : beside, palette);
  const head = palette.strong(name);
  const rows = isNarrow ? [`${head}  ${numbers}`, bar] : [`${head}  ${bar}  ${numbers}`];
  return [...rows, sourcesRow(progress, palette), ...quarantineRows(progress, palette)].join('\n');
}

function sourcesRow(progress: FetchProgress, palette: Palette): string {
  const parts = [
    palette.origin(`▓ origin ${formatBytes(progress.bytesFromOrigin)}`),
    palette.peers(`█ peers ${formatBytes(progress.bytesFromPeers)}`),
    ...(progress.resumedBytes > 0 ? [palette.disk(`▒ on disk ${formatBytes(progress.resumedBytes)}`)] : []),
    `sent ${formatBytes(progress.bytesUploaded)}`,
    neighboursText(progress),
    ...discoveryRemark(progress).map(palette.bad),
  ];
  return parts.join(palette.faint(' · '));
}

function quarantineRows(progress: FetchProgress, palette: Palette): readonly string[] {
  const rows = progress.quarantined
    .slice(0, QUARANTINED_SHOWN_MAX)
    .map(({ peer, reason, forMs }) => palette.bad(`quarantined ${peer} for ${formatDuration(forMs)}: ${reason}`));
  const more = progress.quarantined.length - rows.length;
  return more > 0 ? [...rows, palette.bad(`quarantined ${more} more`)] : rows;
}

function lineOf(progress: FetchProgress): string {
  if (progress.phase === 'starting') return `starting ${progress.job}`;
  const parts = [
    `${progress.phase} ${progress.job} ${percentText(progress).trim()}`,
    amountText(progress),
    pace(progress),
    `origin ${formatBytes(progress.bytesFromOrigin)}`,
    `peers ${formatBytes(progress.bytesFromPeers)}`,
    `sent ${formatBytes(progress.bytesUploaded)}`,
    neighboursText(progress),
    ...discoveryRemark(progress),
    ...progress.quarantined.slice(0, QUARANTINED_SHOWN_MAX).map(({ peer, reason }) => `quarantined ${peer}: ${reason}`),
  ];
  return parts.join(', ');
}

/** Worth a word when it is not the tracker that finds peers and leases. */
function discoveryRemark({ phase, discovery }: FetchProgress): readonly string[] {
  if (phase !== 'fetching' && phase !== 'seeding') return [];
  switch (discovery) {
    case 'tracker':
      return [];
    case 'rendezvous':
      return ['tracker away, the agents go on among themselves'];
    case 'origin-alone':
      return ['no other agents, all from the origin'];
    default:
      return unreachable(discovery);
  }
}

function percentText(progress: FetchProgress): string {
  return `${percentOf(progress).toFixed(1).padStart(5)} %`;
}

function amountText({ haveBytes, lengthBytes }: FetchProgress): string {
  return `${formatBytes(haveBytes)} of ${formatBytes(lengthBytes)}`;
}

/** What a reader wants to know next: how fast and how long while bytes come, else what goes on. */
function pace(progress: FetchProgress): string {
  if (progress.phase !== 'fetching') return progress.phase;
  const left = progress.etaMs === undefined ? '' : `  ${formatDuration(progress.etaMs)} left`;
  return `${formatRate(progress.rateBytesPerSecond)}${left}`;
}

function neighboursText({ neighbourCount }: FetchProgress): string {
  return neighbourCount === 1 ? '1 neighbour' : `${neighbourCount} neighbours`;
}

function clipped(text: string, columnsMax: number): string {
  return text.length <= columnsMax ? text : `${text.slice(0, columnsMax - 1)}…`;
}
