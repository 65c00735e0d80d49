import { lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyTree } from '../../../agent/disk/verify-tree.ts';
import { fetchTo, freshDest, mixed, open, single, whole } from './job-fetch.ts';
import type { Job } from './job-tree.ts';
import { temporaryDirectory } from './temporary-directory.ts';

test('a destination that is a symlink means what it points to', async () => {
  const dest = await freshDest();
  const link = `${dest}-link`;
  await mkdir(dest);
  await symlink('dest', link);

  await fetchTo(mixed, link);

  expect((await lstat(link)).isSymbolicLink()).toBe(true);
  expect(await verifyTree({ manifest: mixed.manifest, path: dest })).toEqual(whole);
  expect((await open(mixed, `${link}/`)).kind).toBe('complete');
});

test('places that can never be used are refused at once, with what to do', async () => {
  const directory = await temporaryDirectory();
  await symlink('nowhere', join(directory, 'dangling'));
  await symlink('loop', join(directory, 'loop'));
  await writeFile(join(directory, 'file'), '');
  const refusals: [Job, string, string][] = [
    [mixed, '', 'destination-unwritable'],
    [mixed, '/', 'destination-unwritable'],
    [mixed, join(directory, 'missing/dest'), 'destination-unwritable'],
    [mixed, join(directory, 'file/dest'), 'destination-unwritable'],
    [mixed, join(directory, 'dangling'), 'destination-unwritable'],
    [mixed, join(directory, 'loop'), 'destination-unwritable'],
    [mixed, join(directory, 'x'.repeat(250)), 'destination-unwritable'],
    [mixed, join(directory, 'x.starling-partial'), 'destination-unwritable'],
    [single, `${join(directory, 'new')}/`, 'usage'],
    [mixed, '/proc', 'destination-unwritable'],
  ];

  for (const [job, dest, expected] of refusals) {
    const refused = await open(job, dest).catch((error: unknown) => error);
    expect(refused, dest).toMatchObject({ code: expected, next: expect.any(String) });
  }
  expect((await readdir(directory)).sort()).toEqual(['dangling', 'file', 'loop']);
});
