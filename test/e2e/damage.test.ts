import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'vitest';
import { CHUNK_BYTES, publishTree, type RunningOrigin, sharedOrigin, World } from './agents.ts';
import { writeSample } from './trees.ts';

// At one time: most of what these tests take is waiting.
const origin = sharedOrigin();

test.concurrent('an origin whose bytes were changed ends every agent, with the chunk and what to do', async ({
  expect,
  onTestFinished,
}) => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'damaged', 24);
  await flipByte(await objectOf(origin(), sample.job), 17 * CHUNK_BYTES + 5);

  const agents = await Promise.all(['a', 'b', 'c'].map(name => world.fetch(name, sample.job, origin().url)));
  const ends = await Promise.all(agents.map(agent => agent.ended()));

  expect(ends.map(end => end.exitCode)).toEqual([4, 4, 4]);
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const error = ends[index]?.last('error');
    expect(error).toMatchObject({ code: 'origin-corrupt', exitCode: 4 });
    expect(error).toMatchObject({
      message: expect.stringContaining('chunk 17:'),
      next: expect.stringContaining('publish the content again'),
    });
    expect(existsSync(world.copy(name))).toBe(false);
  }
});

test.concurrent('an origin whose object was cut short ends the fetch, with the chunk', async ({
  expect,
  onTestFinished,
}) => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'cut', 8);
  const handle = await open(await objectOf(origin(), sample.job), 'r+');
  await handle.truncate(6 * CHUNK_BYTES);
  await handle.close();

  const ended = await (await world.fetch('a', sample.job, origin().url)).ended();

  expect(ended.exitCode).toBe(3);
  expect(ended.last('error')).toMatchObject({ code: 'origin-refused', message: expect.stringMatching(/chunk [67]:/) });
  expect(existsSync(world.copy('a'))).toBe(false);
});

test.concurrent('verify names the damaged file, the chunk, what is missing and what is more', async ({
  expect,
  onTestFinished,
}) => {
  const world = await World.open(onTestFinished);
  const tree = world.path('tree');
  await mkdir(join(tree, 'deep'), { recursive: true });
  await writeSample(join(tree, 'deep', 'film'), 4 * CHUNK_BYTES, 1);
  await writeSample(join(tree, 'other'), 2 * CHUNK_BYTES, 2);
  await writeFile(join(tree, 'small'), 'small');
  await publishTree(origin(), 'verified', tree);
  const verify = ['verify', world.copy('a'), '--job', 'verified', '--origin', origin().url];
  const fetched = await (await world.fetch('a', 'verified', origin().url, ['--linger', '0s'])).ended();

  const whole = await world.run(verify);
  await flipByte(join(world.copy('a'), 'deep', 'film'), 3 * CHUNK_BYTES);
  await rm(join(world.copy('a'), 'small'));
  await writeFile(join(world.copy('a'), 'mine'), 'mine');
  const broken = await world.run(verify);

  expect([fetched.exitCode, whole.exitCode]).toEqual([0, 0]);
  expect(whole.last('verified')).toMatchObject({ ok: true, badChunks: [], badFiles: [], missing: [], extra: [] });
  expect(broken.exitCode).toBe(4);
  expect(broken.last('verified')).toMatchObject({
    ok: false,
    badFiles: [{ path: 'deep/film', problem: 'chunk 3 has the wrong hash' }],
    missing: ['small'],
    extra: ['mine'],
  });
  expect(broken.last('verified').badChunks).toContain(3);
  expect(broken.last('error')).toMatchObject({ code: 'integrity', next: expect.stringContaining('--replace') });
});

test.concurrent('a finished copy that was damaged is fetched again with --replace, and only then', async ({
  expect,
  onTestFinished,
}) => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'replaced', 8);
  const fetch = async (...more: readonly string[]) =>
    (await world.fetch('a', sample.job, origin().url, ['--linger', '0s', ...more])).ended();

  const first = await fetch();
  await flipByte(world.copy('a'), 2 * CHUNK_BYTES);
  const refused = await fetch();
  const replaced = await fetch('--replace');
  const again = await fetch();

  expect([first, refused, replaced, again].map(end => end.exitCode)).toEqual([0, 5, 0, 0]);
  expect(refused.last('error')).toMatchObject({ code: 'destination-occupied' });
  expect(again.last('done')).toMatchObject({ outcome: 'already-complete', bytesFromOrigin: 0 });
});

/** Where the bytes of a job lie. */
async function objectOf({ dataDir }: RunningOrigin, job: string): Promise<string> {
  const directory = join(dataDir, 'jobs', job);
  const name = (await readdir(directory)).find(candidate => candidate.startsWith('data-'));
  return join(directory, name ?? 'data');
}

async function flipByte(path: string, offsetBytes: number): Promise<void> {
  const handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, offsetBytes);
  await handle.write(Buffer.of((byte[0] ?? 0) ^ 0xff), 0, 1, offsetBytes);
  await handle.close();
}
