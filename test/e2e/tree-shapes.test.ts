import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { KiB, MiB, sharedOrigin, World } from './agents.ts';
import { listTree, sampleBytes, writeSample } from './trees.ts';

const origin = sharedOrigin();
const SMALL_FILES = 10_000;

test('a file without bytes, and executable', async () => {
  const world = await World.open(onTestFinished);
  await writeFile(world.path('source'), '');
  await chmod(world.path('source'), 0o755);

  expect(await publishedAndFetched(world, 'empty')).toBe(0);
});

test('a directory of many kinds: spaces, unicode, links, executables, empty ones, modes', async () => {
  const world = await World.open(onTestFinished);
  const tree = world.path('source');
  const inner = join(tree, 'with space', '日本語');
  await mkdir(inner, { recursive: true });
  await mkdir(join(tree, 'empty directory'));
  await writeSample(join(inner, 'größe – 🎬.bin'), 3 * MiB + 17, 1);
  await writeSample(join(tree, 'e\u0301 decomposed'), 100 * KiB, 2);
  await writeFile(join(tree, 'e\u0301'.normalize('NFC')), 'composed');
  await writeFile(join(tree, ' leading and trailing '), 'x');
  await writeFile(join(tree, '"quotes"\nand a line'), 'x');
  await writeFile(join(tree, 'nothing'), '');
  await writeFile(join(tree, 'run.sh'), '#!/bin/sh\necho hi\n', { mode: 0o755 });
  await chmod(join(tree, 'run.sh'), 0o755);
  await writeFile(join(tree, 'secret'), 'x');
  await chmod(join(tree, 'secret'), 0o600);
  await chmod(join(tree, 'nothing'), 0o444);
  await symlink('run.sh', join(tree, 'to a file'));
  await symlink('../run.sh', join(tree, 'with space', 'up and over'));
  await symlink('with space/日本語', join(tree, 'to a directory'));
  await symlink('not there', join(tree, 'dangling'));
  await chmod(inner, 0o500);

  expect(await publishedAndFetched(world, 'kinds')).toBeGreaterThan(0);

  await chmod(inner, 0o700);
  for (const name of ['a', 'b', 'c']) await chmod(join(world.copy(name), 'with space', '日本語'), 0o700);
});

test(`a directory with ${SMALL_FILES} small files`, async () => {
  const world = await World.open(onTestFinished);
  const bytes = sampleBytes(4 * SMALL_FILES, 3);
  for (let directory = 0; directory < SMALL_FILES / 100; directory += 1) {
    const path = world.path('source', `d${directory}`);
    await mkdir(path, { recursive: true });
    const files = Array.from({ length: 100 }, (_, file) => directory * 100 + file);
    await Promise.all(
      files.map(file => writeFile(join(path, `f${file}`), bytes.subarray(file, file + 100 + (file % 400)))),
    );
  }

  const chunkCount = await publishedAndFetched(world, 'many');

  // Packed: as many chunks as there are bytes for, not as there are files.
  expect(chunkCount).toBeLessThan(50);
});

/** Publishes `source`, fetches it with three agents at once, and compares the trees. Returns the number of chunks. */
async function publishedAndFetched(world: World, job: string): Promise<number | undefined> {
  const source = world.path('source');
  const args = ['publish', source, '--job', job, '--origin', origin().url, '--chunk-size', '256KiB'];
  const published = await world.run(args);
  const agents = await Promise.all(['a', 'b', 'c'].map(name => world.fetch(name, job, origin().url)));
  const ends = await Promise.all(agents.map(agent => agent.ended()));
  const expected = listTree(source);

  expect([published, ...ends].map(end => end.exitCode)).toEqual([0, 0, 0, 0]);
  for (const name of ['a', 'b', 'c']) expect(listTree(world.copy(name))).toEqual(expected);
  return published.last('done').chunkCount;
}
