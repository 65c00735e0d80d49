import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkLengthFor } from '../../core/chunk-length.ts';
import { config } from '../../core/config.ts';

const MiB = 1024 * 1024;

test.each([
  [0, 1 * MiB],
  [1, 1 * MiB],
  [1000 * MiB, 1 * MiB],
  [1000 * MiB + 1, 2 * MiB],
  [5_000_000_000, 5 * MiB],
  [64_000 * MiB, 64 * MiB],
  [10_000_000 * MiB, 64 * MiB],
])('%i bytes are cut into chunks of %i bytes', (totalBytes, expected) => {
  expect(chunkLengthFor(totalBytes)).toBe(expected);
});

test('a job beyond the largest number of the largest chunks is refused', () => {
  const most = config.manifest.chunksMax * config.manifest.chunkLengthBytesMax;

  expect(chunkLengthFor(most)).toBe(64 * MiB);
  expect(() => chunkLengthFor(most + 1)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test('between the ends there are never more chunks than aimed for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 64_000 * MiB }), totalBytes => {
      const length = chunkLengthFor(totalBytes);
      expect(length % MiB).toBe(0);
      expect(Math.ceil(totalBytes / length)).toBeLessThanOrEqual(config.manifest.chunksAimed);
    }),
  );
});
