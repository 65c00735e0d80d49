import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { openDestination } from '../../../agent/disk/destination.ts';
import type { PartialTree } from '../../../agent/disk/partial-tree.ts';
import { verifyTree } from '../../../agent/disk/verify-tree.ts';
import { assert } from '../../../core/assert.ts';
import { type Job, jobOf, someBytes } from './job-tree.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const MiB = 1024 * 1024;

/** A file system of its own, unmounted when the test is over; without the right to mount one the test is skipped. */
async function smallDisk(context: TestContext, options: string): Promise<string> {
  const directory = join(await temporaryDirectory(), 'disk');
  await mkdir(directory);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory], { stdio: 'pipe' });
  } catch (cause) {
    context.skip(`a small file system cannot be mounted here (uid ${process.getuid?.()}): ${cause}`);
  }
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', directory]);
  });
  return directory;
}

async function openPartial(job: Job, dest: string): Promise<PartialTree> {
  const opened = await openDestination({ manifest: job.manifest, manifestBytes: job.manifestBytes, dest });
  assert(opened.kind === 'partial', 'the destination is complete already');
  onTestFinished(() => opened.close().catch(() => undefined));
  return opened;
}

test('a job that does not fit is refused with figures before anything is written', async context => {
  const disk = await smallDisk(context, 'size=8m');
  const job = jobOf({ a: someBytes(9 * MiB, 1) }, MiB);

  await expect(openPartial(job, join(disk, 'dest'))).rejects.toMatchObject({
    code: 'disk-full',
    message: expect.stringMatching(/\d{7,} bytes are needed, \d{7} are free/),
    next: expect.stringMatching(/free \d+ bytes/),
  });

  expect(await readdir(disk)).toEqual([]);
});

test('what an earlier run has on the disk already is not asked for again', async context => {
  const disk = await smallDisk(context, 'size=16m');
  const job = jobOf({ a: someBytes(9 * MiB, 1) }, MiB);
  const first = await openPartial(job, join(disk, 'dest'));
  for (const chunk of [0, 1, 2, 3, 4, 5, 6]) {
    const receiver = first.store.receive(chunk);
    await receiver.write(job.chunks[chunk] ?? new Uint8Array());
    await receiver.finish();
  }
  await first.close();
  await writeFile(join(disk, 'of-others'), someBytes(2 * MiB, 2));

  const second = await openPartial(job, join(disk, 'dest'));

  expect(second.store.have.size).toBe(7);
});

test('a disk that fills up meanwhile is disk-full, and the run goes on when there is space again', async context => {
  const disk = await smallDisk(context, 'size=10m');
  const job = jobOf({ a: someBytes(4 * MiB, 1) }, MiB);
  const dest = join(disk, 'dest');
  const first = await openPartial(job, dest);
  const filler = join(disk, 'of-others');
  await writeFile(filler, new Uint8Array(9 * MiB)).catch(() => undefined); // Fills what there is.
  await writeFile(`${filler}-more`, new Uint8Array(2 * MiB)).catch(() => undefined);

  const receiver = first.store.receive(0);
  const writing = receiver.write(job.chunks[0] ?? new Uint8Array()).then(() => receiver.finish());
  await expect(writing).rejects.toMatchObject({ code: 'disk-full', message: expect.stringContaining('dest') });
  await receiver.abort();
  expect(first.store.have.isEmpty).toBe(true);
  await first.close();

  await rm(filler);
  await rm(`${filler}-more`);
  const second = await openPartial(job, dest);
  for (const [chunk, bytes] of job.chunks.entries()) {
    const again = second.store.receive(chunk);
    await again.write(bytes);
    expect(await again.finish()).toBe('verified');
  }
  await second.place();
  expect((await verifyTree({ manifest: job.manifest, path: dest })).badChunks).toEqual([]);
});

test('too few inodes are told as such', async context => {
  const disk = await smallDisk(context, 'size=32m,nr_inodes=50');
  const job = jobOf(
    Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, someBytes(5, index)])),
    MiB,
  );

  await expect(openPartial(job, join(disk, 'dest'))).rejects.toMatchObject({
    code: 'disk-full',
    message: expect.stringContaining('inodes'),
  });
});
