import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatBytes, formatRate, parseByteSize, parseRate } from '../../agent/byte-size.ts';

describe('parseByteSize', () => {
  test.each([
    ['0', 0],
    ['17', 17],
    ['17B', 17],
    ['64k', 65_536],
    ['64K', 65_536],
    ['64KiB', 65_536],
    ['64kB', 64_000],
    ['256MiB', 268_435_456],
    ['256 MiB', 268_435_456],
    ['5GB', 5_000_000_000],
    ['1.5g', 1_610_612_736],
    ['0.5kib', 512],
    ['2T', 2_199_023_255_552],
    [' 1mb ', 1_000_000],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  test.each(['', 'MiB', '-1', '1e9', '5 apples', '5iB', '1..5k', '0x10', 'Infinity', '9999999T', '1,5G'])(
    '%j is no size',
    text => {
      expect(parseByteSize(text)).toBeUndefined();
    },
  );
});

describe('parseRate', () => {
  test.each([
    ['10Gbit/s', 1_250_000_000],
    ['100Mbit', 12_500_000],
    ['8bit/s', 1],
    ['125MB/s', 125_000_000],
    ['1MiB/s', 1_048_576],
  ])('%s is %d bytes a second', (text, bytesPerSecond) => {
    expect(parseRate(text)).toBe(bytesPerSecond);
  });

  test.each(['', '0bit', '0/s', '125MB', 'fast', '10 Gbit/h'])('%j is no rate', text => {
    expect(parseRate(text)).toBeUndefined();
  });
});

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [268_435_456, '256.0 MiB'],
    [1_048_575, '1.0 MiB'],
    [1_073_741_823, '1.0 GiB'],
    [1023.9 * 1024 ** 2, '1024 MiB'],
    [5_000_000_000, '4.7 GiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test('a text that it wrote reads back as about the same size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), bytes => {
        const back = parseByteSize(formatBytes(bytes));

        // A tenth of a unit is lost at most, and a unit counts at least 1.
        expect(Math.abs((back ?? Number.NaN) - bytes)).toBeLessThanOrEqual(bytes * 0.051);
      }),
    );
  });

  test('a rate is never negative', () => {
    expect(formatRate(-0.4)).toBe('0 B/s');
    expect(formatRate(12.5 * 1024 ** 2)).toBe('12.5 MiB/s');
  });
});
