import fc from 'fast-check';
import { expect, test } from 'vitest';
import { config } from '../../core/config.ts';
import { OriginEstimate } from '../../core/origin-estimate.ts';

const { rateSampleMsMin, rateMsMax } = config.lease;

test('nothing is known before the first completion', () => {
  const estimate = new OriginEstimate();

  expect(estimate.completionsPerMs).toBeUndefined();
  expect(estimate.shortestMs).toBeUndefined();
});

test('an even stream of completions gives its rate and its time', () => {
  const estimate = new OriginEstimate();

  for (let now = 0; now <= 1000; now += 4) estimate.completed(60, now);

  expect(estimate.completionsPerMs).toBeCloseTo(0.25, 5);
  expect(estimate.shortestMs).toBe(60);
});

test('completions that are told all at once do not look like a fast origin', () => {
  const estimate = new OriginEstimate();

  for (let heap = 1; heap <= 5; heap += 1) {
    for (let told = 0; told < 20; told += 1) estimate.completed(undefined, heap * rateSampleMsMin);
  }

  expect(estimate.completionsPerMs).toBeLessThanOrEqual((2 * 20) / rateSampleMsMin);
});

test('the best rate is believed while it is young, then the newest', () => {
  const estimate = new OriginEstimate();
  for (let now = 0; now <= 1000; now += 1) estimate.completed(undefined, now);

  estimate.completed(undefined, rateMsMax);
  expect(estimate.completionsPerMs).toBeCloseTo(1, 5);
  for (let laterMs = 0; laterMs <= 2000; laterMs += 500) estimate.completed(undefined, 1500 + rateMsMax + laterMs);

  expect(estimate.completionsPerMs).toBeCloseTo(1 / 500, 5);
});

test('the shortest time stays: our own queue must not pass for distance', () => {
  const estimate = new OriginEstimate();
  estimate.completed(10, 0);

  for (let now = 1000; now <= 100_000; now += 1000) estimate.completed(80, now);

  expect(estimate.shortestMs).toBe(10);
});

test('a completion without a known start counts for the rate only', () => {
  const estimate = new OriginEstimate();

  for (let now = 0; now <= 1000; now += 10) estimate.completed(undefined, now);

  expect(estimate.shortestMs).toBeUndefined();
  expect(estimate.completionsPerMs).toBeCloseTo(0.1, 5);
});

test('stored and restored between, it says the same', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 300 }), fc.option(fc.nat({ max: 500 }), { nil: undefined }))), seen => {
      const kept = new OriginEstimate();
      let stored = new OriginEstimate();
      let now = 0;
      for (const [laterMs, tookMs] of seen) {
        now += laterMs;
        kept.completed(tookMs, now);
        stored = OriginEstimate.restore(JSON.parse(JSON.stringify(stored.state)));
        stored.completed(tookMs, now);
        expect(stored.state).toEqual(kept.state);
      }
    }),
  );
});
