import { PassThrough, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { type RangeSource, readResuming } from '../../../agent/origins/resuming-read.ts';
import { StarlingError } from '../../../core/errors.ts';
import { bytesOf, collect, expectBytes } from '../../conformance/origin.ts';

const BYTES = bytesOf(1000, 1);
const RANGE = { offsetBytes: 0, lengthBytes: 1000 };
const LIMITS = { triesMax: 3, retryMs: 0, retryMsMax: 0, resumesMax: 3, idleTimeoutMs: 60_000 };
const AT_ONCE = { below: () => 0 };

function sourceOf(open: (offset: number) => Readable): { readonly source: RangeSource; readonly offsets: number[] } {
  const offsets: number[] = [];
  const source: RangeSource = {
    open: async ({ offsetBytes }) => {
      offsets.push(offsetBytes);
      return open(offsetBytes);
    },
    broken: cause => new StarlingError('origin-unreachable', 'broken', { cause }),
    overlong: () => new StarlingError('origin-refused', 'overlong'),
  };
  return { source, offsets };
}

test('a body that falls silent is given up and asked for again', async () => {
  const { source, offsets } = sourceOf(offset => {
    if (offset > 0) return Readable.from([BYTES.subarray(offset)]);
    const silent = new PassThrough();
    silent.write(BYTES.subarray(0, 300));
    return silent;
  });

  const got = await collect(readResuming(RANGE, source, { ...LIMITS, idleTimeoutMs: 20 }, AT_ONCE, undefined));

  expectBytes(got, BYTES);
  expect(offsets).toEqual([0, 300]);
});

test('a body that ends early is resumed, and given up at the maximum', async () => {
  const early = sourceOf(offset => Readable.from([BYTES.subarray(offset, offset + 400)]));
  expectBytes(await collect(readResuming(RANGE, early.source, LIMITS, AT_ONCE, undefined)), BYTES);
  expect(early.offsets).toEqual([0, 400, 800]);

  const never = sourceOf(() => Readable.from([]));
  await expect(collect(readResuming(RANGE, never.source, LIMITS, AT_ONCE, undefined))).rejects.toMatchObject({
    message: 'broken',
  });
  expect(never.offsets).toHaveLength(1 + LIMITS.resumesMax);
});

test('a body that goes on after its end is refused', async () => {
  const { source, offsets } = sourceOf(() => Readable.from([BYTES, Uint8Array.of(1)]));

  await expect(collect(readResuming(RANGE, source, LIMITS, AT_ONCE, undefined))).rejects.toThrow('overlong');
  expect(offsets).toEqual([0]);
});

test('leaving the loop closes the body', async () => {
  const body = new PassThrough();
  body.write(BYTES.subarray(0, 300));
  const { source } = sourceOf(() => body);

  for await (const _ of readResuming(RANGE, source, LIMITS, AT_ONCE, undefined)) break;

  expect(body.destroyed).toBe(true);
});

test('an abort ends a read that waits for a silent body', async () => {
  const controller = new AbortController();
  const body = new PassThrough();
  const { source } = sourceOf(() => body);
  const reading = collect(readResuming(RANGE, source, LIMITS, AT_ONCE, controller.signal));
  setImmediate(() => controller.abort());

  await expect(reading).rejects.toMatchObject({ code: 'interrupted' });
  expect(body.destroyed).toBe(true);
});

test('an empty range asks nobody', async () => {
  const { source, offsets } = sourceOf(() => Readable.from([]));

  const range = { offsetBytes: 5, lengthBytes: 0 };
  expect(await collect(readResuming(range, source, LIMITS, AT_ONCE, undefined))).toHaveLength(0);
  expect(offsets).toEqual([]);
});
