import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PathMeter } from '../../../agent/peers/path-meter.ts';
import { nextStreamWindow } from '../../../agent/peers/stream-window.ts';
import { config } from '../../../core/config.ts';

const KiB = 1024;
const { streamWindowBytesMin: min, streamWindowBytesMax: max, streamWindowBytesStart: start } = config.peers;

describe('the stream window', () => {
  test.each([
    // A fifth of 20 Mbit/s, its ping half a second behind our own queue: what the prototype found best by hand.
    [500_000, 500, 1, 0, 32 * KiB],
    // One flow alone on such a link.
    [2_000_000, 250, 1, 0, 128 * KiB],
    // One flow of 5 Gbit/s, all that EC2 gives it, at half a millisecond.
    [625_000_000, 0.5, 0.2, 0, 1024 * KiB],
    // 100 MB/s over 80 ms: more than we allow.
    [100_000_000, 82, 80, 0, max],
    // A busy machine that answers after 100 ms, and is itself 50 ms late: no queue of the network's.
    [2_000_000, 100, 0.1, 50, 512 * KiB],
    // The same wait on an idle machine is a queue.
    [2_000_000, 100, 0.1, 0, 64 * KiB],
  ])(
    'for %d B/s, ping %d of at least %d ms, %d ms late',
    (bytesPerSecond, roundTripMs, roundTripMsMin, loopLagMs, expected) => {
      expect(nextStreamWindow(start, { bytesPerSecond, roundTripMs, roundTripMsMin, loopLagMs })).toBe(expected);
    },
  );

  test('is a power of two between its bounds, and stays where it is when nothing changes', () => {
    const path = fc.record({
      bytesPerSecond: fc.double({ min: 0, max: 1e11, noNaN: true }),
      roundTripMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
      roundTripMsMin: fc.double({ min: 0, max: 1e4, noNaN: true }),
      loopLagMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 15, max: 20 }), path, (exponent, evidence) => {
        const next = nextStreamWindow(2 ** exponent, evidence);

        expect(next).toBeGreaterThanOrEqual(min);
        expect(next).toBeLessThanOrEqual(max);
        expect(Number.isInteger(Math.log2(next))).toBe(true);
        expect(nextStreamWindow(next, evidence)).toBe(next);
      }),
    );
  });

  test('does not feed on its own queue', () => {
    const bytesPerSecond = 2_500_000;
    let windowBytes = max;
    for (let round = 0; round < 10; round += 1) {
      // Five such windows stand in front of the ping.
      const roundTripMs = 1 + (5 * windowBytes * 1000) / bytesPerSecond;
      const path = { bytesPerSecond: bytesPerSecond / 5, roundTripMs, roundTripMsMin: 1, loopLagMs: 0 };
      windowBytes = nextStreamWindow(windowBytes, path);
    }

    expect(windowBytes).toBe(min);
  });
});

describe('the path meter', () => {
  test('knows nothing before a ping, and before chunks came for a while', () => {
    const meter = new PathMeter();
    meter.downloadStarted(0);
    meter.received(1000);
    const withoutPing = meter.evidence(500, 0);
    meter.pinged(2);
    const idle = new PathMeter();
    idle.pinged(2);

    expect(withoutPing).toBeUndefined();
    expect(idle.evidence(1000, 0)).toBeUndefined();
    expect(meter.evidence(1000, 0)?.bytesPerSecond).toBe(1000);
  });

  test('counts only the time in which a chunk was on its way, and keeps the fastest of four intervals', () => {
    const meter = new PathMeter();
    for (const ping of [9, 1, 5, 7, 3, 3]) meter.pinged(ping);
    const rates: (number | undefined)[] = [];
    for (let second = 0; second < 6; second += 1) {
      // Two downloads that overlap, busy for half of the second; fast only in the first.
      meter.downloadStarted(second * 1000);
      meter.downloadStarted(second * 1000 + 100);
      meter.received(second === 0 ? 5000 : 500);
      meter.downloadEnded(second * 1000 + 300);
      meter.downloadEnded(second * 1000 + 500);
      rates.push(meter.evidence(second * 1000 + 999, 0)?.bytesPerSecond);
    }

    expect(rates).toEqual([10_000, 10_000, 10_000, 10_000, 1000, 1000]);
    expect(meter.evidence(7000, 0)).toBeUndefined();
  });

  test('takes the median of the last five pings, and the shortest of all', () => {
    const meter = new PathMeter();
    for (const ping of [1, 9, 9, 9, 2, 8, 7]) meter.pinged(ping);
    meter.downloadStarted(0);

    expect(meter.evidence(1000, 4)).toMatchObject({ roundTripMs: 8, roundTripMsMin: 1, loopLagMs: 4 });
  });
});
