import { open, readdir, readFile, rename, rm, stat, symlink, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeTree } from '../../../agent/disk/tree-skeleton.ts';
import { TreeStore } from '../../../agent/disk/tree-store.ts';
import { ChunkSet } from '../../../core/chunk-set.ts';
import { config } from '../../../core/config.ts';
import { describeChunkStore } from '../../conformance/chunk-store.ts';
import { type Job, jobOf, MIXED, MIXED_CHUNK_BYTES, sameBytes, someBytes } from './job-tree.ts';
import { temporaryDirectory } from './temporary-directory.ts';

async function storeOf(job: Job): Promise<{ store: TreeStore; root: string; journal: number[] }> {
  const root = join(await temporaryDirectory(), 'tree');
  await makeTree(job.manifest, root);
  const journal: number[] = [];
  const store = new TreeStore({
    manifest: job.manifest,
    have: new ChunkSet(job.chunks.length),
    location: { kind: 'partial', root },
    journal: async chunk => {
      journal.push(chunk);
    },
  });
  return { store, root, journal };
}

async function receiveAll(store: TreeStore, job: Job): Promise<void> {
  for (const [chunk, bytes] of job.chunks.entries()) {
    const receiver = store.receive(chunk);
    await receiver.write(bytes);
    expect(await receiver.finish()).toBe('verified');
  }
}

describeChunkStore('a tree of files of all lengths', async () => {
  const job = jobOf(MIXED, MIXED_CHUNK_BYTES);
  const { store } = await storeOf(job);
  return { ...job, store, cleanUp: () => store.close() };
});

describeChunkStore('a single large file with chunks longer than a write', async () => {
  const job = jobOf({ 'one.bin': someBytes(2_500_000, 9) }, 800_000, 'file');
  const { store } = await storeOf(job);
  return { ...job, store, cleanUp: () => store.close() };
});

describeChunkStore('thousands of tiny files in few chunks', async () => {
  const files = Array.from({ length: 1500 }, (_, index) => [`f${index}`, someBytes(index % 40, index)] as const);
  const job = jobOf(Object.fromEntries(files), 20_000);
  const { store } = await storeOf(job);
  return { ...job, store, cleanUp: () => store.close() };
});

test('a chunk is in the journal before it is had, and only if it is right', async () => {
  const job = jobOf({ a: someBytes(3000, 1) }, 1000);
  const { store, journal } = await storeOf(job);
  const wrong = store.receive(0);
  await wrong.write(new Uint8Array(1000));
  await wrong.finish();
  expect(journal).toEqual([]);

  await receiveAll(store, job);

  expect(journal).toEqual([0, 1, 2]);
  await store.close();
});

test('a chunk whose journal record cannot be written is not had', async () => {
  const job = jobOf({ a: someBytes(3000, 1) }, 1000);
  const { root } = await storeOf(job);
  const store = new TreeStore({
    manifest: job.manifest,
    have: new ChunkSet(3),
    location: { kind: 'partial', root },
    journal: () => Promise.reject(new Error('no space')),
  });
  const receiver = store.receive(0);
  await receiver.write(job.chunks[0] ?? new Uint8Array());

  await expect(receiver.finish()).rejects.toThrow('no space');
  await receiver.abort();

  expect(store.have.isEmpty).toBe(true);
  expect(store.receiving(0)).toBeUndefined();
  await store.close();
});

test('the files hold their bytes when all chunks came, in any order and any slices', async () => {
  const job = jobOf(MIXED, MIXED_CHUNK_BYTES);
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([...job.chunks.keys()], { minLength: job.chunks.length }),
      fc.integer({ min: 1, max: 60_000 }),
      async (order, sliceBytes) => {
        const { store, root } = await storeOf(job);
        for (const chunk of order) {
          const bytes = job.chunks[chunk] ?? new Uint8Array();
          const receiver = store.receive(chunk);
          for (let at = 0; at < bytes.length; at += sliceBytes) {
            await receiver.write(bytes.subarray(at, at + sliceBytes));
          }
          expect(await receiver.finish()).toBe('verified');
        }
        await store.close();
        for (const [path, what] of Object.entries(MIXED)) {
          if (!(what instanceof Uint8Array) && (what === 'directory' || !('bytes' in what))) continue;
          expect(sameBytes(await readFile(join(root, path)), 'mode' in what ? what.bytes : what)).toBe(true);
        }
      },
    ),
    { numRuns: 10 },
  );
});

test('no more files are held open than configured', async () => {
  const files = Array.from({ length: 1000 }, (_, index) => [`f${index}`, someBytes(100, index)] as const);
  const job = jobOf(Object.fromEntries(files), 10_000);
  const { store } = await storeOf(job);
  const before = await openFileCount();

  await receiveAll(store, job);

  expect((await openFileCount()) - before).toBeLessThanOrEqual(config.disk.openFilesMax);
  await store.close();
  expect(await openFileCount()).toBe(before);
});

test('a write that fails says disk-failed and the path, and the chunk can be given up', async () => {
  const job = jobOf({ a: someBytes(3000, 1) }, 1000);
  const { store, root } = await storeOf(job);
  await rm(join(root, 'a'));
  const receiver = store.receive(0);
  await receiver.write(job.chunks[0] ?? new Uint8Array());

  await expect(receiver.finish()).rejects.toMatchObject({
    code: 'disk-failed',
    message: expect.stringContaining(root),
  });
  await receiver.abort();
  await store.close();
});

test('a file that was cut behind our back is disk-failed when it is served, not silence', async () => {
  const job = jobOf({ a: someBytes(3000, 1) }, 1000);
  const { store, root } = await storeOf(job);
  await receiveAll(store, job);
  await truncate(join(root, 'a'), 2500);

  await expect(store.read(2, 0, new Uint8Array(1000))).rejects.toMatchObject({ code: 'disk-failed' });
  await store.close();
});

test('reads go on while the tree moves, and find it where it went', async () => {
  const job = jobOf(MIXED, MIXED_CHUNK_BYTES);
  const { store, root } = await storeOf(job);
  await receiveAll(store, job);
  const destination = `${root}-placed`;
  let isMoving = true;
  const readers = [1, 2, 3].map(async () => {
    let reads = 0;
    do {
      for (const [chunk, bytes] of job.chunks.entries()) {
        const target = new Uint8Array(bytes.length);
        await store.read(chunk, 0, target);
        expect(sameBytes(target, bytes)).toBe(true);
        reads += 1;
      }
    } while (isMoving);
    return reads;
  });

  await store.relocate({ kind: 'placed', destination }, () => rename(root, destination));
  isMoving = false;

  for (const reads of await Promise.all(readers)) expect(reads).toBeGreaterThan(0);
  await expect(stat(root)).rejects.toThrow('ENOENT');
  await store.close();
});

test('a move that fails leaves the store where it was', async () => {
  const job = jobOf({ a: someBytes(3000, 1) }, 1000);
  const { store } = await storeOf(job);
  await receiveAll(store, job);

  const moved = store.relocate({ kind: 'placed', destination: '/nowhere' }, () => Promise.reject(new Error('EXDEV')));

  await expect(moved).rejects.toThrow('EXDEV');
  const target = new Uint8Array(1000);
  await store.read(1, 0, target);
  expect(target).toEqual(job.chunks[1]);
  await store.close();
});

test('a symlink put in the place of a file is not written through', async () => {
  const job = jobOf({ a: someBytes(3000, 1) }, 1000);
  const { store, root } = await storeOf(job);
  const outside = join(root, '..', 'outside');
  await (await open(outside, 'w')).close();
  await rm(join(root, 'a'));
  await symlink(outside, join(root, 'a'));
  const receiver = store.receive(0);
  await receiver.write(job.chunks[0] ?? new Uint8Array());

  await expect(receiver.finish()).rejects.toMatchObject({ code: 'disk-failed' });
  await receiver.abort();
  expect((await stat(outside)).size).toBe(0);
  await store.close();
});

async function openFileCount(): Promise<number> {
  return (await readdir('/proc/self/fd')).length;
}
