import { appendFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type AgentProcess, fetchArgs, MiB, sharedOrigin, World } from './agents.ts';
import type { OriginGate } from './origin-gate.ts';
import { listTree, writeSample } from './trees.ts';

const origin = sharedOrigin();

test('the same content again says so; other content under the id is refused, and what is there stays', async () => {
  const world = await World.open(onTestFinished);
  const path = await writeSample(world.path('film'), 2 * MiB, 1);
  const args = publishArgs(path, 'immutable', origin().url);

  const first = await world.run(args);
  const same = await world.run(args);
  await writeSample(path, 2 * MiB, 2);
  const other = await world.run(args);
  await writeSample(path, 2 * MiB, 1);
  const copy = await world.run([...fetchArgs(world.path('copy'), 'immutable', origin().url), '--linger', '0s']);

  expect([first, same, other, copy].map(end => end.exitCode)).toEqual([0, 0, 1, 0]);
  expect(first.last('done').outcome).toBe('published');
  expect(same.last('done').outcome).toBe('unchanged');
  expect(other.last('error')).toMatchObject({
    code: 'job-exists',
    message: expect.stringContaining('job immutable'),
    next: expect.stringContaining('new job id'),
  });
  expect(listTree(world.path('copy'))).toEqual(listTree(path));
});

test('a publish killed in mid-upload leaves nothing to be seen, and works when it is run again', async () => {
  const world = await World.open(onTestFinished);
  const path = await writeSample(world.path('film'), 32 * MiB, 3);
  const gate = await world.gate(origin());

  const killed = await uploadingHalf(world, gate, publishArgs(path, 'killed', gate.url));
  await killed.destroy();
  const missing = await world.run(fetchArgs(world.path('early'), 'killed', origin().url));
  const visible = await readdir(join(origin().dataDir, 'jobs'));
  gate.release();
  const again = await world.run(publishArgs(path, 'killed', gate.url));
  const copy = await world.run([...fetchArgs(world.path('copy'), 'killed', origin().url), '--linger', '0s']);

  expect(missing.exitCode).toBe(1);
  expect(missing.last('error').code).toBe('unknown-job');
  expect(visible).not.toContain('killed');
  expect([again.exitCode, copy.exitCode]).toEqual([0, 0]);
  expect(again.last('done').outcome).toBe('published');
  expect(listTree(world.path('copy'))).toEqual(listTree(path));
});

test('a publish that is interrupted says so, and leaves nothing to be seen', async () => {
  const world = await World.open(onTestFinished);
  const path = await writeSample(world.path('film'), 32 * MiB, 4);
  const gate = await world.gate(origin());

  const publisher = await uploadingHalf(world, gate, publishArgs(path, 'stopped', gate.url));
  publisher.kill('SIGINT');
  const ended = await publisher.ended();

  expect(ended.exitCode).toBe(130);
  expect(ended.last('error')).toMatchObject({ code: 'interrupted', exitCode: 130 });
  expect(await readdir(join(origin().dataDir, 'jobs'))).not.toContain('stopped');
});

test.each<[change: string, change: (tree: string) => Promise<unknown>, named: string]>([
  ['written to', tree => appendFile(join(tree, 'film'), 'x'), 'film was changed'],
  ['replaced by one as long', tree => writeSample(join(tree, 'film'), 32 * MiB, 9), 'film was changed'],
  ['joined by another', tree => writeFile(join(tree, 'late'), 'x'), 'late is new'],
  ['removed', tree => rm(join(tree, 'small')), 'small is gone'],
])('a file that is %s while it is published is noticed: nothing is published', async (change, apply, named) => {
  const world = await World.open(onTestFinished);
  const tree = world.path('tree');
  await mkdir(tree);
  await writeSample(join(tree, 'film'), 32 * MiB, 5);
  await writeFile(join(tree, 'small'), 'small');
  const gate = await world.gate(origin());
  const job = `changed-${change.replaceAll(' ', '-')}`;

  const publisher = await uploadingHalf(world, gate, publishArgs(tree, job, gate.url));
  await apply(tree);
  gate.release();
  const ended = await publisher.ended();
  const fetched = await world.run(fetchArgs(world.path('copy'), job, origin().url));

  expect(ended.exitCode).toBe(4);
  expect(ended.last('error')).toMatchObject({ code: 'source-changed', message: expect.stringContaining(named) });
  expect(fetched.exitCode).toBe(1);
  expect(fetched.last('error').code).toBe('unknown-job');
});

/** Starts it and waits until one part of the upload has arrived and the others are held. */
async function uploadingHalf(world: World, gate: OriginGate, args: readonly string[]): Promise<AgentProcess> {
  gate.holdAfter(1);
  const publisher = world.start(args);
  await publisher.until('that a part is there', line => line.phase === 'uploading' && (line.doneBytes ?? 0) > 0);
  await gate.holds(1);
  return publisher;
}

function publishArgs(path: string, job: string, url: string): readonly string[] {
  return ['publish', path, '--job', job, '--origin', url, '--chunk-size', '1MiB', '--every', '100ms'];
}
