import type { Bytes } from '../core/ids.ts';

/** What {@link parseByteSize} takes, for messages. */
export const BYTE_SIZE_FORM = 'a size such as 256MiB, 5GB or 64k';

/** What {@link parseRate} takes, for messages. */
export const RATE_FORM = 'a rate such as 10Gbit/s, 100Mbit or 125MB/s';

const SIZE = /^(\d+(?:\.\d+)?)\s*(k|m|g|t)?(i?b)?$/i;
const BIT_RATE = /^(\d+(?:\.\d+)?)\s*([kmgt]?)bit(\/s)?$/i;
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/**
 * `KiB MiB GiB TiB` and the bare letters `k m g t` count by 1024, `kB MB GB TB` by 1000, no unit means bytes; any case.
 * `undefined` if the text is no size, or not a whole number of bytes between 0 and 2^53 - 1.
 */
export function parseByteSize(text: string): Bytes | undefined {
  const match = SIZE.exec(text.trim());
  if (match === null) return undefined;
  const [, number, letter, suffix] = match;
  if (letter === undefined && suffix?.toLowerCase() === 'ib') return undefined;
  const base = suffix?.toLowerCase() === 'b' ? 1000 : 1024;
  const bytes = Math.round(Number(number) * base ** powerOf(letter));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Bytes a second. Bits count by 1000, as networks do; bytes as in {@link parseByteSize}, with `/s` behind them. */
export function parseRate(text: string): number | undefined {
  const bits = BIT_RATE.exec(text.trim());
  const bytes = bits === null ? parseByteSizeASecond(text) : (Number(bits[1]) * 1000 ** powerOf(bits[2])) / 8;
  return bytes === undefined || bytes <= 0 ? undefined : Math.round(bytes);
}

/** Four digits at most: `0 B`, `1023 B`, `12.5 MiB`, `1000 GiB`. */
export function formatBytes(bytes: Bytes): string {
  let scaled = bytes;
  let unit = 0;
  // 1023.95 would print as 1024.0: it belongs to the next unit.
  while (scaled >= 1023.95 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || scaled >= 999.95 ? 0 : 1;
  return `${scaled.toFixed(digits)} ${UNITS[unit]}`;
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.max(0, bytesPerSecond))}/s`;
}

function parseByteSizeASecond(text: string): number | undefined {
  const [, size] = /^(.*)\/s$/i.exec(text.trim()) ?? [];
  return size === undefined ? undefined : parseByteSize(size);
}

function powerOf(letter: string | undefined): number {
  switch (letter?.toLowerCase()) {
    case 'k':
      return 1;
    case 'm':
      return 2;
    case 'g':
      return 3;
    case 't':
      return 4;
    default:
      return 0;
  }
}
