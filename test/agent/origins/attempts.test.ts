import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs, type Outcome, withRetries } from '../../../agent/origins/attempts.ts';
import { retryAfterMs } from '../../../agent/origins/http-failure.ts';
import { config } from '../../../core/config.ts';
import { StarlingError } from '../../../core/errors.ts';
import { seededRng } from '../../../core/rng.ts';

const POLICY = { triesMax: 4, retryMs: 100, retryMsMax: 1000 };
const AT_ONCE = { below: () => 0 };
const AGAIN: Outcome<string> = {
  kind: 'again',
  error: new StarlingError('origin-unreachable', 'busy'),
  retryAfterMs: undefined,
};

test('a pause is anywhere between nothing and its bound, which doubles up to the maximum', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.integer(), (failures, seed) => {
      const pause = backoffMs(failures, POLICY, seededRng(seed));
      expect(pause).toBeGreaterThanOrEqual(0);
      expect(pause).toBeLessThanOrEqual(Math.min(1000, 100 * 2 ** failures));
    }),
  );
});

test('what fails for now is tried again, and the last error is the one that is told', async () => {
  let tries = 0;
  const fail = async () => {
    tries += 1;
    return AGAIN;
  };

  await expect(withRetries(fail, POLICY, AT_ONCE, undefined)).rejects.toThrow('busy');
  expect(tries).toBe(4);
});

test('what fails for good is not tried again', async () => {
  let tries = 0;
  const fail = async (): Promise<Outcome<string>> => {
    tries += 1;
    throw new StarlingError('origin-refused', 'no');
  };

  await expect(withRetries(fail, POLICY, AT_ONCE, undefined)).rejects.toThrow('no');
  expect(tries).toBe(1);
});

test('an abort ends a long pause', async () => {
  const controller = new AbortController();
  const outcome: Outcome<string> = { ...AGAIN, retryAfterMs: 3_600_000 };
  const waiting = withRetries(async () => outcome, POLICY, AT_ONCE, controller.signal);
  setImmediate(() => controller.abort());

  await expect(waiting).rejects.toMatchObject({ code: 'interrupted' });
});

test('Retry-After is read as seconds or as a date, and cut', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const read = (text: string | undefined) => retryAfterMs({ 'retry-after': text }, now);

  expect(read('3')).toBe(3000);
  expect(read('Thu, 01 Jan 2026 00:00:02 GMT')).toBe(2000);
  expect(read('999999')).toBe(config.originRequest.retryAfterMsMax);
  expect([read('soon'), read('-1'), read(undefined), read('Wed, 31 Dec 2025 00:00:00 GMT')]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
