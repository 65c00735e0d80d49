import { appendFile, chmod, mkdir, open, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { settleTree } from '../../../agent/disk/placement.ts';
import { makeTree } from '../../../agent/disk/tree-skeleton.ts';
import { TreeStore } from '../../../agent/disk/tree-store.ts';
import { isWhole, verifyTree } from '../../../agent/disk/verify-tree.ts';
import { ChunkSet } from '../../../core/chunk-set.ts';
import { type Job, jobOf, MIXED, MIXED_CHUNK_BYTES, someBytes } from './job-tree.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const mixed = jobOf(MIXED, MIXED_CHUNK_BYTES);

/** The job as it is to be, without the way there. */
async function placed(job: Job): Promise<string> {
  const root = join(await temporaryDirectory(), 'placed');
  await makeTree(job.manifest, root);
  const store = new TreeStore({
    manifest: job.manifest,
    have: new ChunkSet(job.chunks.length),
    location: { kind: 'partial', root },
    journal: async () => {},
  });
  for (const [chunk, bytes] of job.chunks.entries()) {
    const receiver = store.receive(chunk);
    await receiver.write(bytes);
    await receiver.finish();
  }
  await store.close();
  await settleTree(job.manifest, root);
  return root;
}

test('a tree as it should be has no faults, and the progress ends at the whole', async () => {
  const path = await placed(mixed);
  const seen: number[] = [];

  const report = await verifyTree({
    manifest: mixed.manifest,
    path,
    onProgress: ({ checkedBytes, totalBytes }) => {
      expect(totalBytes).toBe(mixed.manifest.lengthBytes);
      seen.push(checkedBytes);
    },
  });

  expect(report).toEqual({ badChunks: [], badFiles: [], missing: [], extra: [] });
  expect(isWhole(report)).toBe(true);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(mixed.manifest.lengthBytes);
});

test('one flipped bit is found, with its file and its chunk', async () => {
  const path = await placed(mixed);
  const handle = await open(join(path, 'a large one.bin'), 'r+');
  await handle.write(Buffer.from([0xff, 0xfe]), 0, 2, MIXED_CHUNK_BYTES + 7);
  await handle.close();

  expect(await verifyTree({ manifest: mixed.manifest, path })).toEqual({
    badChunks: [1],
    badFiles: [{ path: 'a large one.bin', problem: 'chunk 1 has the wrong hash' }],
    missing: [],
    extra: [],
  });
});

test('a bad chunk that small files share accuses them all', async () => {
  const job = jobOf({ a: someBytes(10, 1), b: someBytes(10, 2), c: someBytes(25, 3) }, 30);
  const path = await placed(job);
  await writeFile(join(path, 'b'), someBytes(10, 9));

  expect(await verifyTree({ manifest: job.manifest, path })).toMatchObject({
    badChunks: [0],
    badFiles: ['a', 'b', 'c'].map(path => ({ path, problem: 'chunk 0 has the wrong hash' })),
  });
});

test('every kind of fault is named with its path', async () => {
  const path = await placed(mixed);
  await truncate(join(path, 'a large one.bin'), 200_000);
  await appendFile(join(path, 'empty.txt'), 'no more');
  await chmod(join(path, 'bin/run.sh'), 0o700);
  await unlink(join(path, 'bin/link'));
  await symlink('elsewhere', join(path, 'bin/link'));
  await unlink(join(path, 'bin/dangling'));
  await writeFile(join(path, 'bin/dangling'), '');
  await rm(join(path, 'empty/nested'), { recursive: true });
  await unlink(join(path, 'exactly one chunk'));
  await unlink(join(path, 'read-only'));
  await mkdir(join(path, 'read-only'));
  await mkdir(join(path, 'new'));
  await writeFile(join(path, 'new/file'), '');
  await writeFile(join(path, 'bin/extra'), '');

  const report = await verifyTree({ manifest: mixed.manifest, path });

  expect(isWhole(report)).toBe(false);
  expect(report.missing).toEqual(['empty/nested', 'exactly one chunk']);
  expect(report.extra).toEqual(['bin/extra', 'new']);
  const problems = Object.fromEntries(report.badFiles.map(({ path, problem }) => [path, problem]));
  expect(problems).toMatchObject({
    'a large one.bin': 'has 200000 bytes instead of 307200',
    'bin/dangling': 'is a file, not a symlink',
    'bin/link': 'points to elsewhere instead of ../a large one.bin',
    'bin/run.sh': 'has mode 700 instead of 755',
    'empty.txt': 'has 7 bytes instead of 0',
    'read-only': 'is a directory, not a file',
  });
  expect(Object.keys(problems)).toHaveLength(6);
  // Chunks 1 and 2 of the cut file, the missing file's, and the one in which the read-only file lies.
  expect(report.badChunks).toEqual([1, 2, 3, 4]);
});

test('a tree that is not there at all is missing', async () => {
  const path = join(await temporaryDirectory(), 'nothing');

  const report = await verifyTree({ manifest: mixed.manifest, path });

  expect(report.missing[0]).toBe('.');
  expect(report.badChunks).toEqual([...mixed.chunks.keys()]);
  expect(isWhole(await verifyTree({ manifest: jobOf({}, 10).manifest, path }))).toBe(false);
});
