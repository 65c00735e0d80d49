import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planParts, sendParts } from '../../../agent/origins/upload-parts.ts';
import { config } from '../../../core/config.ts';

const MiB = 1024 * 1024;
const { partBytesMin, partBytesMax, partBytesLimit, partsMax } = config.upload;

/** A job of equal chunks, as most are. */
function job(lengthBytes: number, chunkLengthBytes: number) {
  const cutsAt: number[] = [];
  for (let at = chunkLengthBytes; at < lengthBytes; at += chunkLengthBytes) cutsAt.push(at);
  return { lengthBytes, cutsAt };
}

test('parts cover an object without gap, are long enough for S3, and end where chunks end', () => {
  const jobs = fc
    .tuple(fc.integer({ min: 1, max: 3_000 * MiB }), fc.integer({ min: MiB, max: partBytesMax }))
    .map(([lengthBytes, chunkLengthBytes]) => job(lengthBytes, chunkLengthBytes));

  fc.assert(
    fc.property(jobs, upload => {
      const parts = planParts(upload);
      const ends = parts.map(part => part.offsetBytes + part.lengthBytes);
      expect(parts.map(part => part.offsetBytes)).toEqual([0, ...ends.slice(0, -1)]);
      expect(ends.at(-1)).toBe(upload.lengthBytes);
      expect(parts.map(part => part.number)).toEqual(parts.map((_, at) => at + 1));
      const cuts = new Set([...upload.cutsAt, upload.lengthBytes]);
      expect(ends.every(end => cuts.has(end))).toBe(true);
      expect(parts.slice(0, -1).every(part => part.lengthBytes >= partBytesMin)).toBe(true);
    }),
  );
});

test('chunks of 5,000,000 bytes, below the minimum of S3, go two and more to a part', () => {
  const parts = planParts(job(100_000_000, 5_000_000));

  expect(parts.map(part => part.lengthBytes)).toEqual(Array.from({ length: 10 }, () => 10_000_000));
});

test('the order of cuts, doubles, and cuts at the ends do not matter', () => {
  const upload = job(100 * MiB, 3 * MiB);

  const untidy = [100 * MiB, 0, ...upload.cutsAt.toReversed(), ...upload.cutsAt];
  expect(planParts({ ...upload, cutsAt: untidy })).toEqual(planParts(upload));
});

test('a large object has longer parts, not more than S3 takes', () => {
  const parts = planParts(job(1024 * 1024 * MiB, 64 * MiB));

  expect(parts.length).toBeLessThanOrEqual(partsMax);
  expect(parts.every(part => part.lengthBytes % (64 * MiB) === 0)).toBe(true);
});

test('where no cut is allowed for too long, a part ends inside a chunk', () => {
  const parts = planParts({ lengthBytes: 1000 * MiB, cutsAt: [500 * MiB] });

  expect(Math.max(...parts.map(part => part.lengthBytes))).toBeLessThanOrEqual(partBytesMax);
  expect(parts.some(part => part.offsetBytes === 500 * MiB)).toBe(true);
});

test('an empty object has no parts; one that no store holds is refused', () => {
  expect(planParts({ lengthBytes: 0, cutsAt: [] })).toEqual([]);
  expect(() => planParts({ lengthBytes: partsMax * partBytesLimit + 1, cutsAt: [] })).toThrow('too large');
});

test('no more parts are in memory than its limit allows', async () => {
  const upload = job(1024 * MiB, 100 * MiB);
  let held = 0;
  let heldMax = 0;
  const read = async () => {
    held += 1;
    heldMax = Math.max(heldMax, held);
    return new Uint8Array(100 * MiB);
  };

  const parts = planParts(upload).filter(part => part.lengthBytes === 100 * MiB);
  await sendParts(parts, { ...upload, read }, async () => {
    held -= 1;
  });

  expect(parts.length).toBeGreaterThan(5);
  expect(heldMax).toBe(Math.floor(config.upload.memoryBytesMax / (100 * MiB)));
});

test('after the first failure no further part is begun, and those under way are waited for', async () => {
  const upload = job(400 * MiB, 8 * MiB);
  const parts = planParts(upload);
  const finished: number[] = [];
  const begun: number[] = [];
  const read = async ({ lengthBytes }: { lengthBytes: number }) => new Uint8Array(lengthBytes);

  const sending = sendParts(parts, { ...upload, read }, async ({ number }) => {
    begun.push(number);
    await new Promise(setImmediate);
    if (number === 3) throw new Error('no');
    finished.push(number);
  });

  await expect(sending).rejects.toThrow('no');
  expect(begun.length).toBeLessThan(parts.length);
  expect(finished).toEqual(begun.filter(number => number !== 3));
});
