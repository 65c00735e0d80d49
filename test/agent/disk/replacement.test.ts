import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyTree } from '../../../agent/disk/verify-tree.ts';
import { code, fetchTo, freshDest, mixed, open, openPartial, receive, single, whole } from './job-fetch.ts';
import { jobOf, MIXED_CHUNK_BYTES, someBytes } from './job-tree.ts';

test('with replace a destination with more than the job in it is made exactly the job', async () => {
  const dest = await freshDest();
  await fetchTo(mixed, dest);
  await writeFile(join(dest, 'shard-of-the-old-version'), 'x');

  await fetchTo(mixed, dest, { replace: true });

  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);
});

test('the unfinished download of another job is kept, unless it may be replaced', async () => {
  const dest = await freshDest();
  const first = await openPartial(mixed, dest);
  await receive(first, mixed, [0]);
  await first.close();
  const other = jobOf({ 'a large one.bin': someBytes(200_000, 77) }, MIXED_CHUNK_BYTES);

  await expect(open(other, dest)).rejects.toEqual(code('destination-occupied'));
  const again = await openPartial(mixed, dest);
  expect([...again.store.have]).toEqual([0]);
  await again.close();

  await fetchTo(other, dest, { replace: true });
  expect(await verifyTree({ manifest: other.manifest, path: dest })).toEqual(whole);
});

test('a file with other content is kept, unless it may be replaced: then in one step', async () => {
  const dest = await freshDest();
  await writeFile(dest, 'precious');

  await expect(open(single, dest)).rejects.toEqual(code('destination-occupied'));
  const partial = await openPartial(single, dest, { replace: true });
  await receive(partial, single);
  expect(await readFile(dest, 'utf8')).toBe('precious');
  await partial.place();

  expect(await verifyTree({ manifest: single.manifest, path: dest })).toEqual(whole);
});

test('an empty directory is taken over with its mode; one with content only when it may be replaced', async () => {
  const dest = await freshDest();
  await mkdir(dest, { mode: 0o750 });
  await fetchTo(mixed, dest);
  expect((await stat(dest)).mode & 0o777).toBe(0o750);

  const other = jobOf({ 'new.bin': someBytes(1000, 5) }, 400);
  await expect(open(other, dest)).rejects.toEqual(code('destination-occupied'));
  await fetchTo(other, dest, { replace: true });

  expect(await readdir(dest)).toEqual(['new.bin']);
  expect(await readdir(dirname(dest))).toEqual(['dest']);
});

test('a directory replaces a file when it may, a file never replaces a directory', async () => {
  const dest = await freshDest();
  await writeFile(dest, 'x');
  await expect(open(mixed, dest)).rejects.toEqual(code('destination-occupied'));
  await fetchTo(mixed, dest, { replace: true });
  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);

  await expect(open(single, dest, { replace: true })).rejects.toMatchObject({
    code: 'destination-occupied',
    next: expect.stringContaining('dest/model.bin'),
  });
});

test('content that appears while the job is received is not overwritten', async () => {
  const dest = await freshDest();
  const partial = await openPartial(mixed, dest);
  await receive(partial, mixed);
  await mkdir(dest);
  await writeFile(join(dest, 'precious'), 'x');

  await expect(partial.place()).rejects.toEqual(code('destination-occupied'));
  expect(await readdir(dest)).toEqual(['precious']);

  await rename(dest, `${dest}-away`);
  await partial.place();
  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);
});

test('after a crash between the two renames of a replacement the old content is back, and the new one is not lost', async () => {
  const dest = await freshDest();
  await mkdir(dest);
  await writeFile(join(dest, 'old'), 'x');
  const first = await openPartial(mixed, dest, { replace: true });
  await receive(first, mixed);
  await first.close();
  await rename(dest, join(`${dest}.starling-partial`, 'replaced'));

  await expect(open(mixed, dest)).rejects.toEqual(code('destination-occupied'));
  expect(await readdir(dest)).toEqual(['old']);
  const second = await openPartial(mixed, dest, { replace: true });

  expect(second.store.have.isFull).toBe(true);
  await second.place();
  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);
  expect(await readdir(dirname(dest))).toEqual(['dest']);
});

test('after a crash between the rename and the cleaning up, the next run cleans up', async () => {
  const dest = await freshDest();
  const first = await openPartial(mixed, dest);
  await receive(first, mixed);
  await first.close();
  await rename(join(`${dest}.starling-partial`, 'tree'), dest);
  await chmod(join(dest, 'bin/run.sh'), 0o755);
  await chmod(join(dest, 'read-only'), 0o444);
  for (const entry of mixed.manifest.entries) {
    if (entry.kind !== 'symlink') await chmod(join(dest, entry.path), entry.mode);
  }

  const again = await open(mixed, dest);

  expect(again.kind).toBe('complete');
  expect(await readdir(dirname(dest))).toEqual(['dest']);
});
