import { expect, it } from 'vitest';
import { boundMs, startMs } from '../../sim/bounds.ts';
import { chunkLength, headline, singleOrigin } from '../../sim/scenario.ts';

it('the bound of the headline is 1.009 file times', () => {
  expect(boundMs(headline)).toBeCloseTo(1009, 6);
});

it('an origin slower than the machines sets the file time', () => {
  expect(boundMs({ ...headline, origin: singleOrigin(1e9) })).toBeCloseTo(5045, 6);
});

it('the start is the last join and its answer, but not before the first byte of the origin', () => {
  expect(startMs(headline, 0)).toBe(60);
  expect(startMs(headline, 100)).toBe(130);
});

it('the last chunk holds what is left', () => {
  const scenario = { sizeBytes: 1001, chunkBytes: 100 };

  expect(chunkLength(scenario, 0)).toBe(100);
  expect(chunkLength(scenario, 10)).toBe(1);
});
