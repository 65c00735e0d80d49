import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../agent/duration.ts';

describe('parseDuration', () => {
  test.each([
    ['0', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5 s', 1500],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['10M', 600_000],
    ['forever', Number.POSITIVE_INFINITY],
  ])('%s is %d ms', (text, lengthMs) => {
    expect(parseDuration(text)).toBe(lengthMs);
  });

  test.each(['', '30', '-5s', '10 minutes', '1h30m', 'never', '1e3s', '99999999999999999d'])(
    '%j is no duration',
    text => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe('formatDuration', () => {
  test.each([
    [0, '0.0 s'],
    [400, '0.4 s'],
    [12_345, '12.3 s'],
    [59_960, '1m 00s'],
    [185_000, '3m 05s'],
    [3_599_700, '1h 00m'],
    [7_620_000, '2h 07m'],
    [86_399_999, '1d 00h'],
    [435_600_000, '5d 01h'],
    [Number.POSITIVE_INFINITY, 'forever'],
  ])('%d ms are %s', (lengthMs, text) => {
    expect(formatDuration(lengthMs)).toBe(text);
  });
});
