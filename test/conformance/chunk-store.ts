import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChunkStore } from '../../agent/disk/chunk-store.ts';
import type { Manifest } from '../../core/manifest.ts';

/** A store that has nothing yet, of a job with at least three chunks, and the right bytes of each. */
export type ChunkStoreUnderTest = {
  readonly store: ChunkStore;
  readonly manifest: Manifest;
  readonly chunks: readonly Uint8Array[];
  /** Close the store and remove what it lay in. */
  readonly cleanUp: () => Promise<void>;
};

/** What every ChunkStore promises (agent/disk/chunk-store.ts). */
export function describeChunkStore(name: string, make: () => Promise<ChunkStoreUnderTest>): void {
  async function open(): Promise<ChunkStoreUnderTest & { readonly bytesOf: (chunk: number) => Uint8Array }> {
    const made = await make();
    onTestFinished(made.cleanUp);
    return { ...made, bytesOf: chunk => made.chunks[chunk] ?? new Uint8Array() };
  }

  async function readAll(store: ChunkStore, chunk: number, lengthBytes: number): Promise<Uint8Array> {
    const target = new Uint8Array(lengthBytes);
    await store.read(chunk, 0, target);
    return target;
  }

  describe(`${name} as a chunk store`, () => {
    test('a chunk received in slices of any length is verified, had, and read back', async () => {
      const { store, chunks } = await open();
      for (const [chunk, bytes] of chunks.entries()) {
        const receiver = store.receive(chunk);
        expect(receiver).toMatchObject({ chunk, lengthBytes: bytes.length });
        expect(store.receiving(chunk)).toBe(receiver);
        const step = [1, 997, bytes.length, 300_000][chunk % 4] ?? 1;
        for (let at = 0; at < bytes.length; at += step * 1000) {
          await receiver.write(bytes.subarray(at, at + step));
          await receiver.write(bytes.subarray(at + step, at + step * 1000));
        }
        expect(await receiver.finish()).toBe('verified');
        expect(store.have.has(chunk)).toBe(true);
        expect(store.receiving(chunk)).toBeUndefined();
      }

      expect(store.have.isFull).toBe(true);
      for (const [chunk, bytes] of chunks.entries()) {
        expect(sameBytes(await readAll(store, chunk, bytes.length), bytes)).toBe(true);
      }
    });

    test('a slice may be overwritten by its owner as soon as the write has resolved', async () => {
      const { store, bytesOf } = await open();
      const bytes = bytesOf(0);
      const receiver = store.receive(0);
      const slice = new Uint8Array(1000);
      for (let at = 0; at < bytes.length; at += slice.length) {
        const length = Math.min(slice.length, bytes.length - at);
        slice.set(bytes.subarray(at, at + length));
        await receiver.write(slice.subarray(0, length));
        slice.fill(0);
      }

      expect(await receiver.finish()).toBe('verified');
    });

    test('a chunk with one wrong bit is corrupt, is not had, and can be received again', async () => {
      const { store, bytesOf } = await open();
      const wrong = bytesOf(1).slice();
      wrong[wrong.length - 1] = (wrong[wrong.length - 1] ?? 0) ^ 1;

      const first = store.receive(1);
      await first.write(wrong);
      expect(await first.finish()).toBe('corrupt');
      expect(store.have.has(1)).toBe(false);

      const second = store.receive(1);
      await second.write(bytesOf(1));
      expect(await second.finish()).toBe('verified');
      expect(sameBytes(await readAll(store, 1, bytesOf(1).length), bytesOf(1))).toBe(true);
    });

    test('after an abort another receiver may start from the beginning', async () => {
      const { store, bytesOf } = await open();
      const first = store.receive(0);
      await first.write(bytesOf(1).subarray(0, 100));
      await first.abort();
      expect(store.receiving(0)).toBeUndefined();

      const second = store.receive(0);
      expect(second.availableBytes).toBe(0);
      await second.write(bytesOf(0));
      expect(await second.finish()).toBe('verified');
    });

    test('who waits gets bytes that are on disk long before the chunk is whole', async () => {
      const { store, bytesOf } = await open();
      const receiver = store.receive(0);
      const waiting = receiver.waitBeyond(0);
      await receiver.write(bytesOf(0).subarray(0, 10));

      expect(await waiting).toBe('more');
      const target = new Uint8Array(receiver.availableBytes);
      await store.read(0, 0, target);
      expect(sameBytes(target, bytesOf(0).subarray(0, target.length))).toBe(true);
      await receiver.abort();
    });

    test('bytes that were written before somebody waited are not held back', async () => {
      const { store, bytesOf } = await open();
      const receiver = store.receive(0);
      await receiver.write(bytesOf(0).subarray(0, 10));

      expect(await receiver.waitBeyond(9)).toBe('more');
      expect(receiver.availableBytes).toBe(10);
      await receiver.abort();
    });

    test('a reader that follows a receiver sees every byte, in order, and the end', async () => {
      const { store, bytesOf } = await open();
      const bytes = bytesOf(0);
      const receiver = store.receive(0);
      const follow = async (): Promise<Uint8Array> => {
        const seen = new Uint8Array(bytes.length);
        for (let at = 0; at < bytes.length; ) {
          if ((await receiver.waitBeyond(at)) === 'ended' && !store.have.has(0)) throw new Error('broken off');
          const end = store.have.has(0) ? bytes.length : receiver.availableBytes;
          await store.read(0, at, seen.subarray(at, end));
          at = end;
        }
        return seen;
      };
      const followers = [follow(), follow(), follow()];
      for (let at = 0; at < bytes.length; at += 777) await receiver.write(bytes.subarray(at, at + 777));

      expect(await receiver.finish()).toBe('verified');
      for (const seen of await Promise.all(followers)) expect(sameBytes(seen, bytes)).toBe(true);
    });

    test('who waits for bytes that will never come is told so', async () => {
      const { store, bytesOf } = await open();
      const first = store.receive(0);
      await first.write(bytesOf(0).subarray(0, 10));
      const waiting = first.waitBeyond(10);
      await first.abort();
      expect(await waiting).toBe('ended');
      expect(await first.waitBeyond(10)).toBe('ended');

      const second = store.receive(0);
      await second.write(bytesOf(0));
      const beyond = second.waitBeyond(bytesOf(0).length);
      await second.finish();
      expect(await beyond).toBe('ended');
      expect(await second.waitBeyond(0)).toBe('more');
    });

    test('several chunks are received at one time, each by one receiver', async () => {
      const { store, chunks } = await open();
      const receivers = chunks.map((_, chunk) => store.receive(chunk));
      expect(() => store.receive(0)).toThrow('being received');

      const outcomes = await Promise.all(
        receivers.map(async (receiver, chunk) => {
          const bytes = chunks[chunk] ?? new Uint8Array();
          for (let at = 0; at < bytes.length; at += 9_999) await receiver.write(bytes.subarray(at, at + 9_999));
          return receiver.finish();
        }),
      );

      expect(new Set(outcomes)).toEqual(new Set(['verified']));
      expect(() => store.receive(0)).toThrow('received again');
    });

    test('our own mistakes are asserted: too many bytes, too few, unread bytes', async () => {
      const { store, bytesOf } = await open();
      const receiver = store.receive(0);

      await expect(receiver.write(new Uint8Array(bytesOf(0).length + 1))).rejects.toThrow('more bytes than it has');
      await expect(receiver.finish()).rejects.toThrow('without all its bytes');
      await expect(store.read(0, 0, new Uint8Array(1))).rejects.toThrow('before it is there');
      await receiver.abort();
      await expect(receiver.write(new Uint8Array(1))).rejects.toThrow('after its end');
    });

    test('closing ends the receivers at work', async () => {
      const { store, bytesOf } = await open();
      const receiver = store.receive(0);
      await receiver.write(bytesOf(0).subarray(0, 10));
      const waiting = receiver.waitBeyond(10);

      await store.close();

      expect(await waiting).toBe('ended');
      expect(store.receiving(0)).toBeUndefined();
    });
  });
}

/** As `toEqual`, which takes seconds for a megabyte. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
