import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rm, statfs, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { CHUNK_BYTES, fetchArgs, MAIN, MiB, type Run, sharedOrigin, World } from './agents.ts';
import { listTree } from './trees.ts';

const NOBODY = 65_534;
const origin = sharedOrigin();

test('a disk that is too small is told before the first byte, with figures', async context => {
  const world = await World.open(onTestFinished);
  const disk = await smallDisk(world, 6, context);
  const sample = await world.publishSample(origin(), 'too-large', 64);
  const gate = await world.gate(origin());

  const ended = await world.run(fetchArgs(join(disk, 'copy'), sample.job, gate.url));

  expect(ended.exitCode).toBe(5);
  expect(ended.last('error')).toMatchObject({ code: 'disk-full', exitCode: 5 });
  expect(ended.last('error').message).toMatch(/not enough space in .*: \d+ bytes are needed, \d+ are free/);
  expect(ended.last('error').next).toMatch(/free \d+ bytes/);
  expect(gate.reads).toEqual([]);
  expect(await readdir(disk)).toEqual([]);
});

test('a disk that others fill meanwhile ends the fetch, with nothing half in place; with room again it goes on', async context => {
  const world = await World.open(onTestFinished);
  const disk = await smallDisk(world, 16, context);
  const sample = await world.publishSample(origin(), 'filled', 64);
  const gate = await world.gate(origin());
  gate.holdAfter(8);
  const args = fetchArgs(join(disk, 'copy'), sample.job, gate.url);

  const agent = world.start(args);
  await agent.until('8 chunks', line => line.haveCount === 8);
  await fill(join(disk, 'filler'));
  gate.release();
  const full = await agent.ended();
  const leftover = await readdir(disk);
  await rm(join(disk, 'filler'));
  const again = await world.run([...args, '--linger', '0s']);

  expect(full.exitCode).toBe(5);
  expect(full.last('error')).toMatchObject({ code: 'disk-full', exitCode: 5 });
  expect(full.last('error').next).toContain('free some space');
  expect(leftover).toEqual(['copy.starling-partial', 'filler']);
  expect(again.exitCode).toBe(0);
  expect(again.last('done').resumedBytes).toBeGreaterThanOrEqual(8 * CHUNK_BYTES);
  expect(listTree(join(disk, 'copy'))).toEqual(listTree(sample.path));
});

test.each([
  ['in a directory that is missing', (world: World) => world.path('missing', 'copy'), 'destination-unwritable'],
  ['below a file', (world: World) => world.path('file', 'copy'), 'destination-unwritable'],
  ['that is a symlink to nowhere', (world: World) => world.path('nowhere'), 'destination-unwritable'],
  ['where a directory stands', (world: World) => world.path('directory'), 'destination-occupied'],
  ['where another file stands', (world: World) => world.path('file'), 'destination-occupied'],
] as const)('a destination %s is refused, and nothing is fetched', async (_where, destOf, code) => {
  const world = await World.open(onTestFinished);
  await writeFile(world.path('file'), 'mine');
  await mkdir(world.path('directory', 'inner'), { recursive: true });
  await symlink('gone', world.path('nowhere'));
  const sample = await world.publishSample(origin(), 'placed', 2);
  const gate = await world.gate(origin());
  const before = await readdir(world.directory);

  const ended = await world.run(fetchArgs(destOf(world), sample.job, gate.url));

  expect(ended.exitCode).toBe(5);
  expect(ended.last('error')).toMatchObject({ code, exitCode: 5, next: expect.any(String) });
  expect(ended.last('error').message).toContain(world.directory);
  expect(gate.reads).toEqual([]);
  expect(await readdir(world.directory)).toEqual(before);
});

test('a destination whose directory is read-only is refused', async context => {
  const world = await World.open(onTestFinished);
  const run = unprivileged(context);
  const sample = await world.publishSample(origin(), 'read-only', 2);
  const parent = world.path('read-only');
  await mkdir(parent);
  // Also for the user that root becomes below.
  await chmod(world.directory, 0o755);
  await chmod(parent, 0o555);
  world.onEnd(() => chmod(parent, 0o755));

  const ended = await world.run(fetchArgs(join(parent, 'copy'), sample.job, origin().url), run);

  expect(ended.exitCode).toBe(5);
  expect(ended.last('error')).toMatchObject({ code: 'destination-unwritable', exitCode: 5 });
  expect(ended.last('error')).toMatchObject({ message: expect.stringContaining(`cannot write to ${parent}`) });
  expect(await readdir(parent)).toEqual([]);
});

test('of two fetches to one destination the second says who is at work there', async () => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'contested', 16);
  const gate = await world.gate(origin());
  gate.holdAfter(2);

  const first = await world.fetch('a', sample.job, gate.url, ['--linger', '0s']);
  await first.until('2 chunks', line => line.haveCount === 2);
  const second = await (await world.fetch('a', sample.job, gate.url)).ended();
  gate.release();
  const ended = await first.ended();

  expect(second.exitCode).toBe(5);
  expect(second.last('error')).toMatchObject({ code: 'destination-locked', exitCode: 5 });
  expect(second.last('error').message).toContain(`process ${first.pid} `);
  expect(ended.exitCode).toBe(0);
  expect(listTree(world.copy('a'))).toEqual(listTree(sample.path));
  expect(existsSync(`${world.copy('a')}.starling-partial`)).toBe(false);
});

/** A file system of so many MiB, or a skipped test where this user may not mount one. */
async function smallDisk(world: World, sizeMiB: number, context: TestContext): Promise<string> {
  const path = world.path('disk');
  await mkdir(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    return context.skip(`cannot mount a small disk here: ${String(error)}`);
  }
  world.onEnd(async () => execFileSync('umount', [path]));
  return path;
}

/** Root may write everywhere: then the agent runs as nobody, if nobody may read this checkout. */
function unprivileged(context: TestContext): Run {
  if (process.getuid?.() !== 0) return {};
  try {
    execFileSync(process.execPath, [MAIN, '--version'], { uid: NOBODY, gid: NOBODY, stdio: 'pipe' });
    return { uid: NOBODY };
  } catch (error) {
    return context.skip(`root may write everywhere, and nobody cannot run the agent here: ${String(error)}`);
  }
}

/** Takes all space that is left. */
async function fill(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(join(path, '..'));
  await writeFile(path, Buffer.alloc(Math.min(bavail * bsize, 64 * MiB)));
}
