import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { headline, type Scenario, s3Origin } from '../../sim/scenario.ts';
import { simulate } from '../../sim/simulate.ts';

/** 30 machines, 60 chunks: a fifth of a second. */
const small: Scenario = { ...headline, machines: 30, sizeBytes: 300e6, horizonMs: 120_000 };

describe('every live machine gets the whole file', () => {
  it('and the origin sends it once', () => {
    const { outcome } = simulate(small);

    expect(outcome.lost).toBe(0);
    expect(outcome.originCopies).toBe(1);
    expect(outcome.lastMs).toBeGreaterThan(outcome.boundMs);
  });

  it('once into each of three zones, and never across', () => {
    const { outcome } = simulate({ ...small, zones: 3 });

    expect(outcome.lost).toBe(0);
    expect(outcome.originCopies).toBe(3);
    expect(outcome.crossZoneBytes).toBe(0);
  });

  it('once into the region when the borders are open', () => {
    const { outcome } = simulate({ ...small, zones: 3, locality: 'region' });

    expect(outcome.lost).toBe(0);
    expect(outcome.originCopies).toBe(1);
    expect(outcome.crossZoneBytes).toBeGreaterThan(0);
  });

  it('from S3, although it answers 503 beyond its request limit', () => {
    const { outcome } = simulate({ ...small, origin: { ...s3Origin(), requestsPerSecondMax: 20 } });

    expect(outcome.lost).toBe(0);
    expect(outcome.lastMs).toBeGreaterThan(2000);
  });

  it('although a tenth of them lose their power meanwhile', () => {
    const { outcome } = simulate({ ...small, killShare: 0.1 });

    expect(outcome.killed).toBe(3);
    expect(outcome.lost).toBe(0);
  });

  it('although some are slow', () => {
    const { outcome } = simulate({ ...small, slow: { share: 0.1, speed: 1 / 4 } });

    expect(outcome.lost).toBe(0);
    expect(outcome.fullSpeedLastMs).toBeLessThan(outcome.lastMs ?? 0);
  });

  it('without the tracker, once they have given up on it', () => {
    const outage = { fromMs: 0, untilMs: Number.POSITIVE_INFINITY };
    const { outcome } = simulate({ ...small, machines: 3, tracker: { ...small.tracker, outage } });

    expect(outcome.lost).toBe(0);
    expect(outcome.originCopies).toBe(3);
  });
});

describe('a run', () => {
  it('is the same for the same seed, and another for another', () => {
    const first = simulate(small).outcome;

    expect(simulate(small).outcome).toEqual(first);
    expect(simulate({ ...small, seed: 2 }).outcome.traceHash).not.toBe(first.traceHash);
  });

  it('is the same in another process', () => {
    const script = `
      import { headline } from '${new URL('../../sim/scenario.ts', import.meta.url)}';
      import { simulate } from '${new URL('../../sim/simulate.ts', import.meta.url)}';
      const small = { ...headline, machines: 30, sizeBytes: 300e6, horizonMs: 120000 };
      console.log(simulate(small).outcome.traceHash);
    `;
    const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });

    expect(child.stdout.trim()).toBe(simulate(small).outcome.traceHash);
  });

  it('takes samples on the way if asked', () => {
    const { samples } = simulate({ ...small, sampleMs: 20 });

    expect(samples.length).toBeGreaterThan(5);
    expect(Math.max(...samples.map(sample => sample.uplinkUse))).toBeGreaterThan(0.5);
    expect(Math.max(...samples.map(sample => sample.uplinkUse))).toBeLessThanOrEqual(1.02);
  });

  it('that cannot end is given up at the horizon, and says who is missing', () => {
    const { outcome } = simulate({ ...small, horizonMs: 20 });

    expect(outcome.lost).toBe(30);
    expect(outcome.lastMs).toBeUndefined();
  });
});
