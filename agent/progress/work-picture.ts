import type { JobId, Millis } from '../../core/ids.ts';
import { formatBytes, formatRate } from '../byte-size.ts';
import { formatDuration } from '../duration.ts';
import { drawBar } from './bar.ts';
import type { FrameSize, Picture } from './display.ts';
import type { Palette } from './palette.ts';

/** Work of which it is known how much there is: hashing, uploading, checking. */
export type Work = {
  readonly job: JobId;
  readonly phase: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Since this phase began. */
  readonly elapsedMs: Millis;
};

const BAR_COLUMNS_MAX = 50;
const BAR_COLUMNS_MIN = 10;
/** Beside the bar. */
const TEXT_COLUMNS = 66;

export function workPicture(work: Work, palette: Palette): Picture {
  return {
    phase: work.phase,
    frame: size => frameOf(work, palette, size),
    line: () => [`${work.phase} ${work.job}`, ...numbersOf(work)].join(', '),
    json: () => ({ kind: 'progress', ...work, percent: Math.floor(shareOf(work) * 1000) / 10 }),
  };
}

function frameOf(work: Work, palette: Palette, { columns }: FrameSize): string {
  const width = Math.max(BAR_COLUMNS_MIN, Math.min(BAR_COLUMNS_MAX, columns - TEXT_COLUMNS));
  const bar = drawBar([{ share: shareOf(work), from: 'peers' }], width, palette);
  return `${work.phase.padEnd(9)}  ${bar}  ${numbersOf(work).join(', ')}`;
}

function shareOf({ doneBytes, totalBytes }: Work): number {
  return totalBytes === 0 ? 0 : Math.min(1, doneBytes / totalBytes);
}

/** Nothing while it is not known how much there is. */
function numbersOf({ doneBytes, totalBytes, elapsedMs }: Work): readonly string[] {
  if (totalBytes === 0) return [];
  const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  if (doneBytes === 0 || elapsedMs === 0) return [amount];
  const bytesPerMs = doneBytes / elapsedMs;
  return [amount, formatRate(bytesPerMs * 1000), `${formatDuration((totalBytes - doneBytes) / bytesPerMs)} left`];
}
