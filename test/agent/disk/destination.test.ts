import { chmod, lstat, mkdir, readdir, readFile, readlink, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyTree } from '../../../agent/disk/verify-tree.ts';
import { fetchTo, freshDest, mixed, open, openPartial, receive, single, whole } from './job-fetch.ts';
import { jobOf, MIXED_CHUNK_BYTES, sameBytes, someBytes } from './job-tree.ts';

test('a directory is placed whole: bytes, names, modes, links and empty directories', async () => {
  const dest = await freshDest();
  const partial = await openPartial(mixed, dest);
  expect(partial).toMatchObject({ path: dest, resumedBytes: 0 });
  await receive(partial, mixed);
  expect(await readdir(dirname(dest))).toEqual(['dest.starling-partial']);

  await partial.place();

  expect(await readdir(dirname(dest))).toEqual(['dest']);
  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);
  expect((await lstat(join(dest, 'bin/run.sh'))).mode & 0o777).toBe(0o755);
  expect((await lstat(join(dest, 'read-only'))).mode & 0o777).toBe(0o444);
  expect(await readlink(join(dest, 'bin/dangling'))).toBe('not-there');
  expect(await readdir(join(dest, 'empty/nested'))).toEqual([]);
});

test('the store serves on from the destination after the placement', async () => {
  const dest = await freshDest();
  const partial = await openPartial(mixed, dest);
  await receive(partial, mixed);

  await partial.place();

  for (const [chunk, bytes] of mixed.chunks.entries()) {
    const target = new Uint8Array(bytes.length);
    await partial.store.read(chunk, 0, target);
    expect(sameBytes(target, bytes)).toBe(true);
  }
  await partial.close();
});

test('a single file becomes the destination itself', async () => {
  const dest = await freshDest();

  await fetchTo(single, dest);

  expect(sameBytes(await readFile(dest), someBytes(250_000, 1))).toBe(true);
  expect((await stat(dest)).mode & 0o777).toBe(0o640);
  expect(await readdir(dirname(dest))).toEqual(['dest']);
});

test.each([
  ['an empty file', jobOf({ empty: new Uint8Array() }, 10, 'file')],
  ['a directory without anything in it', jobOf({}, 10)],
  ['a directory of empty things', jobOf({ d: 'directory', 'd/e': new Uint8Array() }, 10)],
])('%s is placed without a byte', async (_, job) => {
  const dest = await freshDest();

  await fetchTo(job, dest);

  expect(await verifyTree({ manifest: job.manifest, path: dest })).toEqual(whole);
  expect((await open(job, dest)).kind).toBe('complete');
});

test('what is complete already is verified, served and left alone', async () => {
  const dest = await freshDest();
  await fetchTo(mixed, dest);
  await writeFile(join(dest, 'cache.tmp'), 'of another program');
  const progress: number[] = [];

  const again = await open(mixed, dest, { onProgress: ({ checkedBytes }) => progress.push(checkedBytes) });

  expect(again).toMatchObject({ kind: 'complete', extra: ['cache.tmp'], resumedBytes: mixed.manifest.lengthBytes });
  expect(again.store.have.isFull).toBe(true);
  expect(progress.at(-1)).toBe(mixed.manifest.lengthBytes);
  const target = new Uint8Array(mixed.chunks[0]?.length ?? 0);
  await again.store.read(0, 0, target);
  expect(sameBytes(target, mixed.chunks[0] ?? target)).toBe(true);
  expect(await readdir(dirname(dest))).toEqual(['dest']);
});

test('a fetch that was broken off goes on: what was verified is kept, and the agent is the same', async () => {
  const dest = await freshDest();
  const first = await openPartial(mixed, dest);
  await receive(first, mixed, [0, 2]);
  const unfinished = first.store.receive(1);
  await unfinished.write(new Uint8Array(1000));
  await first.close();

  const second = await openPartial(mixed, dest);

  expect([...second.store.have]).toEqual([0, 2]);
  expect(second.resumedBytes).toBe((mixed.chunks[0]?.length ?? 0) + (mixed.chunks[2]?.length ?? 0));
  expect(second.agentId).toBe(first.agentId);
  await receive(second, mixed);
  await second.place();
  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);
});

test('a torn or lying journal costs chunks, never correctness', async () => {
  const dest = await freshDest();
  const first = await openPartial(mixed, dest);
  await receive(first, mixed, [0, 1, 2]);
  await first.close();
  const partial = `${dest}.starling-partial`;
  const journal = join(partial, 'have.journal');
  const records = await readFile(journal);
  expect(records.length).toBe(24);
  const lie = Buffer.alloc(8);
  lie.writeUInt32LE(3, 0);
  lie.writeUInt32LE((3 ^ 0x53544152) >>> 0, 4);
  const garbage = Buffer.from('\x02\0\0\0not8');
  // Chunk 0 whole, garbage, chunk 3 claimed and never written, chunk 1 whole, chunk 2 torn.
  const torn = [records.subarray(0, 8), garbage, lie, records.subarray(8, 16), records.subarray(16, 21)];
  await writeFile(journal, Buffer.concat(torn));
  // And the bytes of chunk 1 were lost by a power failure.
  const large = await readFile(join(partial, 'tree/a large one.bin'));
  large.fill(0, MIXED_CHUNK_BYTES, 2 * MIXED_CHUNK_BYTES);
  await writeFile(join(partial, 'tree/a large one.bin'), large);

  const second = await openPartial(mixed, dest);

  expect([...second.store.have]).toEqual([0]);
  await receive(second, mixed);
  await second.place();
  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);
});

test('a tree that was damaged between two runs is mended', async () => {
  const dest = await freshDest();
  const first = await openPartial(mixed, dest);
  await receive(first, mixed);
  await first.close();
  const tree = `${dest}.starling-partial/tree`;
  await rename(join(tree, 'a large one.bin'), join(tree, 'moved'));
  await mkdir(join(tree, 'a large one.bin'));
  await chmod(join(tree, 'bin'), 0o500);
  await rename(join(tree, 'read-only'), join(tree, 'elsewhere'));
  await symlink('/etc/passwd', join(tree, 'read-only'));

  const second = await openPartial(mixed, dest);
  expect(second.store.have.size).toBeLessThan(mixed.chunks.length);
  await receive(second, mixed);
  await second.place();

  const { extra, ...rest } = await verifyTree({ manifest: mixed.manifest, path: dest });
  expect(rest).toMatchObject({ badChunks: [], badFiles: [], missing: [] });
  expect(extra).toEqual(['elsewhere', 'moved']);
});

test('an abort while a large earlier run is checked ends the check and frees the lock', async () => {
  const dest = await freshDest();
  const job = jobOf({ a: someBytes(12_000_000, 3) }, 500_000);
  const first = await openPartial(job, dest);
  await receive(first, job);
  await first.close();
  const controller = new AbortController();

  const opening = open(job, dest, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  });

  await expect(opening).rejects.toThrow('enough');
  expect((await openPartial(job, dest)).store.have.isFull).toBe(true);
});
