import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Origin } from '../../agent/origins/origin.ts';
import { StarlingError } from '../../core/errors.ts';

const MiB = 1024 * 1024;

export type OriginUnderTest = {
  /** Opens a client of one store that is empty at first; each call a further client of the same store. */
  readonly open: () => Promise<Origin>;
  readonly close: () => Promise<void>;
};

/** A test that an implementation, or the emulator behind it, does not pass; and why that is nobody's fault here. */
export type Gap = { readonly test: keyof typeof TESTS; readonly why: string };

/** What every Origin does. Keys differ from test to test, so that one store serves all of them. */
export function describeOrigin(name: string, start: () => Promise<OriginUnderTest>, gaps: readonly Gap[]): void {
  describe(`origin: ${name}`, () => {
    let under: OriginUnderTest;
    let origin: Origin;
    beforeAll(async () => {
      under = await start();
      origin = await under.open();
    });
    afterAll(async () => {
      await origin?.close();
      await under?.close();
    });
    for (const [behaviour, body] of Object.entries(TESTS)) {
      const gap = gaps.find(each => each.test === behaviour);
      if (gap !== undefined) test.skip(`${behaviour} (left out: ${gap.why})`, () => undefined);
      else test(behaviour, () => body(origin, () => under.open()));
    }
  });
}

type Body = (origin: Origin, openAnother: () => Promise<Origin>) => Promise<void>;

const TESTS = {
  'an object that is not there is undefined, and not had': async origin => {
    expect(await origin.readObject('not/there', { bytesMax: 10 })).toBeUndefined();
    expect(await origin.hasObject('not/there', 0)).toBe(false);
  },
  'an object is read back as it was written': async origin => {
    const bytes = bytesOf(100_000, 1);

    expect(await origin.writeObjectIfAbsent('plain/object', bytes)).toBe('written');

    expectBytes(await origin.readObject('plain/object', { bytesMax: 100_000 }), bytes);
    expect(await origin.hasObject('plain/object', 100_000)).toBe(true);
    expect(await origin.hasObject('plain/object', 99_999)).toBe(false);
  },
  'an empty object is an object': async origin => {
    expect(await origin.writeObjectIfAbsent('empty', new Uint8Array())).toBe('written');

    expect((await origin.readObject('empty', { bytesMax: 0 }))?.length).toBe(0);
    expect(await origin.hasObject('empty', 0)).toBe(true);
  },
  'keys may hold whatever a file name may': async origin => {
    const keys = [
      'names/a b',
      'names/a+b',
      'names/a%2fb',
      'names/ü-日本-🐦',
      'names/#?&=;:@!$,',
      "names/'~()*",
      'names/..c',
    ];
    for (const [at, key] of keys.entries()) await origin.writeObjectIfAbsent(key, Uint8Array.of(at));

    for (const [at, key] of keys.entries()) {
      expect([key, ...((await origin.readObject(key, { bytesMax: 1 })) ?? [])]).toEqual([key, at]);
    }
  },
  'keys that lead elsewhere are refused': async origin => {
    for (const key of [
      '../up',
      'a/../../up',
      '/etc/passwd',
      'a//b',
      './a',
      '',
      'a/',
      'a\0b',
      'a\\b',
      '.starling-x/y',
    ]) {
      await expectRefusal(origin.readObject(key, { bytesMax: 10 }));
      await expectRefusal(origin.writeObjectIfAbsent(key, Uint8Array.of(1)));
      await expectRefusal(origin.hasObject(key, 1));
      await expectRefusal(origin.writeLargeObject(key, upload(new Uint8Array(1), [])));
    }
  },
  'a second write of a key finds it there and changes nothing': async origin => {
    await origin.writeObjectIfAbsent('once', bytesOf(10, 1));

    expect(await origin.writeObjectIfAbsent('once', bytesOf(20, 2))).toBe('exists');

    expectBytes(await origin.readObject('once', { bytesMax: 20 }), bytesOf(10, 1));
  },
  'of many writers at the same time exactly one writes': async (origin, openAnother) => {
    const others = await Promise.all([openAnother(), openAnother()]);
    const writers = [origin, ...others, origin, ...others, origin, ...others];

    const outcomes = await Promise.all(writers.map((each, at) => each.writeObjectIfAbsent('race', bytesOf(5_000, at))));

    expect(outcomes.filter(outcome => outcome === 'written')).toHaveLength(1);
    const winner = outcomes.indexOf('written');
    expectBytes(await origin.readObject('race', { bytesMax: 5_000 }), bytesOf(5_000, winner));
    await Promise.all(others.map(each => each.close()));
  },
  'an object longer than allowed is refused instead of read': async origin => {
    await origin.writeObjectIfAbsent('long', bytesOf(2_000_000, 1));

    await expectRefusal(origin.readObject('long', { bytesMax: 1_999_999 }));
    expect((await origin.readObject('long', { bytesMax: 2_000_000 }))?.length).toBe(2_000_000);
  },
  'a range is exactly the bytes asked for': async origin => {
    const bytes = bytesOf(700_001, 3);
    await origin.writeObjectIfAbsent('ranges', bytes);
    const range = fc.tuple(fc.nat(700_001), fc.nat(700_001)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

    await fc.assert(
      fc.asyncProperty(range, async ([start, end]) => {
        const got = await collect(origin.readRange('ranges', { offsetBytes: start, lengthBytes: end - start }));
        expectBytes(got, bytes.subarray(start, end));
      }),
      { numRuns: 40, examples: [[[0, 700_001]], [[0, 1]], [[700_000, 700_001]], [[5, 5]]] },
    );
  },
  'many ranges are read at the same time': async origin => {
    const bytes = bytesOf(4 * MiB, 4);
    await origin.writeObjectIfAbsent('parallel', bytes);
    const offsets = Array.from({ length: 64 }, (_, at) => at * 65_536);

    const got = await Promise.all(
      offsets.map(offsetBytes => collect(origin.readRange('parallel', { offsetBytes, lengthBytes: 65_536 }))),
    );

    expectBytes(Buffer.concat(got), bytes);
  },
  'a range that the object does not have is refused': async origin => {
    await origin.writeObjectIfAbsent('short', bytesOf(100, 1));

    await expectRefusal(collect(origin.readRange('short', { offsetBytes: 90, lengthBytes: 11 })));
    await expectRefusal(collect(origin.readRange('short', { offsetBytes: 100, lengthBytes: 1 })));
    await expectRefusal(collect(origin.readRange('gone', { offsetBytes: 0, lengthBytes: 1 })));
  },
  'a reader may leave a range half way': async origin => {
    await origin.writeObjectIfAbsent('left', bytesOf(3 * MiB, 5));

    for await (const slice of origin.readRange('left', { offsetBytes: 0, lengthBytes: 3 * MiB })) {
      expect(slice.length).toBeGreaterThan(0);
      break;
    }

    const rest = await collect(origin.readRange('left', { offsetBytes: 2 * MiB, lengthBytes: MiB }));
    expectBytes(rest, bytesOf(3 * MiB, 5).subarray(2 * MiB));
  },
  'an aborted read ends as interrupted': async origin => {
    await origin.writeObjectIfAbsent('aborted', bytesOf(3 * MiB, 6));
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of origin.readRange('aborted', { offsetBytes: 0, lengthBytes: 3 * MiB }, controller.signal)) {
        controller.abort();
      }
    })();

    await expect(reading).rejects.toMatchObject({ code: 'interrupted' });
    await expect(
      origin.readObject('aborted', { bytesMax: 3 * MiB, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'interrupted' });
  },
  'a large object appears whole, its parts cut only where it may be': async origin => {
    const bytes = bytesOf(20 * MiB + 7, 7);
    const cuts = Array.from({ length: 6 }, (_, at) => (at + 1) * 3 * MiB);
    const asked: number[] = [];
    const progress: number[] = [];
    const read = async ({ offsetBytes, lengthBytes }: { offsetBytes: number; lengthBytes: number }) => {
      asked.push(offsetBytes);
      expect(await origin.hasObject('large', bytes.length)).toBe(false);
      return bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
    };

    await origin.writeLargeObject('large', {
      lengthBytes: bytes.length,
      cutsAt: cuts,
      read,
      onProgress: written => progress.push(written),
    });

    expect(asked.length).toBeGreaterThan(1);
    expect([0, ...cuts]).toEqual(expect.arrayContaining(asked));
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(bytes.length);
    expect(await origin.hasObject('large', bytes.length)).toBe(true);
    const got = await collect(origin.readRange('large', { offsetBytes: 0, lengthBytes: bytes.length }));
    expectBytes(got, bytes);
  },
  'large objects may be short, or empty': async origin => {
    for (const lengthBytes of [0, 1, 5 * MiB]) {
      const bytes = bytesOf(lengthBytes, 8);
      await origin.writeLargeObject(`large-${lengthBytes}`, upload(bytes, []));

      const got = await origin.readObject(`large-${lengthBytes}`, { bytesMax: lengthBytes });
      expectBytes(got, bytes);
    }
  },
  'a large object may be written again, also at the same time': async (origin, openAnother) => {
    const bytes = bytesOf(10 * MiB, 9);
    const other = await openAnother();

    await Promise.all([origin, other].map(each => each.writeLargeObject('again', upload(bytes, [8 * MiB]))));
    await origin.writeLargeObject('again', upload(bytes, [8 * MiB]));

    const got = await collect(origin.readRange('again', { offsetBytes: 0, lengthBytes: bytes.length }));
    expectBytes(got, bytes);
    await other.close();
  },
  'a large object never replaces one of another length': async origin => {
    await origin.writeObjectIfAbsent('taken', bytesOf(100, 1));

    await expectRefusal(origin.writeLargeObject('taken', upload(bytesOf(10 * MiB, 2), [])));

    expect(await origin.hasObject('taken', 100)).toBe(true);
  },
  'an upload whose source fails leaves nothing to be seen': async origin => {
    const failure = new StarlingError('source-changed', 'the file changed');
    const read = async ({ offsetBytes, lengthBytes }: { offsetBytes: number; lengthBytes: number }) => {
      if (offsetBytes > 0) throw failure;
      return new Uint8Array(lengthBytes);
    };

    const writing = origin.writeLargeObject('failed', { lengthBytes: 20 * MiB, cutsAt: [8 * MiB, 16 * MiB], read });

    await expect(writing).rejects.toBe(failure);
    expect(await origin.readObject('failed', { bytesMax: 20 * MiB })).toBeUndefined();
    await origin.writeLargeObject('failed', upload(bytesOf(9 * MiB, 1), []));
    expect(await origin.hasObject('failed', 9 * MiB)).toBe(true);
  },
  'an aborted upload leaves nothing to be seen': async origin => {
    const controller = new AbortController();
    const read = async ({ offsetBytes, lengthBytes }: { offsetBytes: number; lengthBytes: number }) => {
      if (offsetBytes > 0) controller.abort();
      return new Uint8Array(lengthBytes);
    };

    const writing = origin.writeLargeObject('stopped', {
      lengthBytes: 20 * MiB,
      cutsAt: [8 * MiB, 16 * MiB],
      read,
      signal: controller.signal,
    });

    await expect(writing).rejects.toMatchObject({ code: 'interrupted' });
    expect(await origin.hasObject('stopped', 20 * MiB)).toBe(false);
  },
} satisfies Record<string, Body>;

/** Bytes that differ from place to place and from seed to seed. */
export function bytesOf(lengthBytes: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  for (let at = 0, state = seed * 2_654_435_761 + 1; at < lengthBytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export async function collect(slices: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const slice of slices) all.push(slice);
  return Buffer.concat(all);
}

/** Says where they differ first instead of printing megabytes. */
export function expectBytes(got: Uint8Array | undefined, expected: Uint8Array): void {
  expect(got?.length).toBe(expected.length);
  if (got !== undefined && Buffer.compare(got, expected) === 0) return;
  expect(`differs first at ${got?.findIndex((byte, at) => byte !== expected[at])}`).toBe('equal');
}

function upload(bytes: Uint8Array, cutsAt: readonly number[]) {
  const read = async (range: { readonly offsetBytes: number; readonly lengthBytes: number }) =>
    bytes.subarray(range.offsetBytes, range.offsetBytes + range.lengthBytes);
  return { lengthBytes: bytes.length, cutsAt, read };
}

async function expectRefusal(promise: Promise<unknown>): Promise<void> {
  await expect(promise).rejects.toMatchObject({ name: 'StarlingError', code: 'origin-refused' });
}
