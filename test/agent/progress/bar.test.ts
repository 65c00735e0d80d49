import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BarPart, drawBar } from '../../../agent/progress/bar.ts';
import { plainPalette } from './plain-palette.ts';

test('the parts stand in their order, the rest is missing', () => {
  const parts: readonly BarPart[] = [
    { share: 0.1, from: 'disk' },
    { share: 0.2, from: 'origin' },
    { share: 0.3, from: 'peers' },
  ];

  expect(drawBar(parts, 10, plainPalette)).toBe('▒▓▓███····');
});

test('it is as wide as it was asked for, and full only when the shares are', () => {
  const part = fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), from: fc.constant('peers' as const) });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), fc.integer({ min: 1, max: 200 }), (parts, width) => {
      const bar = drawBar(parts, width, plainPalette);
      const total = parts.reduce((sum, { share }) => Math.min(1, sum + share), 0);

      expect(bar).toHaveLength(width);
      expect(bar.includes('·')).toBe(total < 1 - 1e-9);
    }),
  );
});
