import type { Millis } from '../core/ids.ts';

/** What {@link parseDuration} takes, for messages. */
export const DURATION_FORM = 'a duration such as 500ms, 30s, 10m, 2h, 1d, 0 or forever';

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/i;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `forever` is `Infinity`. A unit is needed, but for 0. `undefined` if the text is no duration. */
export function parseDuration(text: string): Millis | undefined {
  const trimmed = text.trim();
  if (trimmed.toLowerCase() === 'forever') return Number.POSITIVE_INFINITY;
  if (trimmed === '0') return 0;
  const match = DURATION.exec(trimmed);
  if (match === null) return undefined;
  const [, number, unit] = match;
  const lengthMs = Math.round(Number(number) * unitMs(unit));
  return Number.isSafeInteger(lengthMs) ? lengthMs : undefined;
}

/** Two units at most: `0.4 s`, `12.3 s`, `3m 05s`, `2h 07m`, `5d 01h`, `forever`. */
export function formatDuration(lengthMs: Millis): string {
  if (lengthMs === Number.POSITIVE_INFINITY) return 'forever';
  // 59,950 ms would print as 60.0 s.
  if (lengthMs < MINUTE - 50) return `${(lengthMs / SECOND).toFixed(1)} s`;
  const seconds = Math.round(lengthMs / SECOND);
  if (seconds * SECOND < HOUR) return `${Math.floor(seconds / 60)}m ${twoDigits(seconds % 60)}s`;
  const minutes = Math.round(lengthMs / MINUTE);
  if (minutes * MINUTE < DAY) return `${Math.floor(minutes / 60)}h ${twoDigits(minutes % 60)}m`;
  const hours = Math.round(lengthMs / HOUR);
  return `${Math.floor(hours / 24)}d ${twoDigits(hours % 24)}h`;
}

function unitMs(unit: string | undefined): Millis {
  switch (unit?.toLowerCase()) {
    case 'ms':
      return 1;
    case 'm':
      return MINUTE;
    case 'h':
      return HOUR;
    case 'd':
      return DAY;
    default:
      return SECOND;
  }
}

function twoDigits(value: number): string {
  return value.toString().padStart(2, '0');
}
