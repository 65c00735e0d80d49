import { existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { CHUNK_BYTES, type Ended, type Sample, sharedOrigin, World } from './agents.ts';
import type { OriginGate } from './origin-gate.ts';
import { listTree } from './trees.ts';

const origin = sharedOrigin();

test('an agent killed half-way goes on where it was: nothing verified is fetched again', async () => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'killed', 64);
  const gate = await world.gate(origin());
  gate.holdAfter(20);

  const first = await world.fetch('a', sample.job, gate.url);
  await first.until('20 chunks', line => line.haveCount === 20);
  await first.destroy();
  gate.release();
  const readsBefore = gate.reads.length;
  const second = await (await world.fetch('a', sample.job, gate.url, ['--linger', '0s'])).ended();

  const [kept, rest] = [20 * CHUNK_BYTES, 44 * CHUNK_BYTES];
  expect(second.exitCode).toBe(0);
  expect(second.last('done')).toMatchObject({ outcome: 'fetched', resumedBytes: kept, bytesFromOrigin: rest });
  const again = gate.reads.slice(readsBefore);
  expect(again.reduce((sum, read) => sum + read.sentBytes, 0)).toBe(rest);
  const before = new Set(gate.reads.slice(0, 20).map(read => read.offsetBytes));
  expect(again.filter(read => before.has(read.offsetBytes))).toEqual([]);
  expectCopies(world, sample, ['a']);
});

test('an agent of a swarm is killed half-way and started again: all finish, and it fetches only the rest', async () => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'restarted', 96);
  const gate = await world.gate(origin());
  gate.holdAfter(48);

  const others = [await world.fetch('a', sample.job, gate.url), await world.fetch('c', sample.job, gate.url)];
  const victim = await world.fetch('b', sample.job, gate.url);
  await victim.until('some chunks', line => (line.haveCount ?? 0) >= 8);
  await gate.holds(1);
  await victim.destroy();
  const again = await world.fetch('b', sample.job, gate.url);
  await again.until('that it trades', line => line.phase === 'fetching');
  gate.release();
  const ends = await Promise.all([...others, again].map(agent => agent.ended()));

  const { resumedBytes = 0 } = again.progress ?? {};
  const { lengthBytes } = sample;
  expect(ends.map(end => end.exitCode)).toEqual([0, 0, 0]);
  expect(resumedBytes).toBeGreaterThanOrEqual(8 * CHUNK_BYTES);
  expect(ends.map(receivedBytes)).toEqual([lengthBytes, lengthBytes, lengthBytes - resumedBytes]);
  expectCopies(world, sample, ['a', 'b', 'c']);
});

test('when the holder of leases is killed, its chunks are leased again, once, and the others finish', async () => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'holder', 64);
  const [forHolder, forOthers] = [await world.gate(origin()), await world.gate(origin())];
  forHolder.holdAfter(4);

  const holder = await world.fetch('holder', sample.job, forHolder.url);
  await forHolder.holds(2);
  const others = [await world.fetch('b', sample.job, forOthers.url), await world.fetch('c', sample.job, forOthers.url)];
  for (const other of others) await other.until('its neighbours', line => (line.neighbourCount ?? 0) >= 2);
  const held = forHolder.reads.filter(read => read.sentBytes < read.lengthBytes).map(read => read.offsetBytes);
  await holder.destroy();
  const ends = await Promise.all(others.map(agent => agent.ended()));

  expect(ends.map(end => end.exitCode)).toEqual([0, 0]);
  expect(ends.map(receivedBytes)).toEqual([sample.lengthBytes, sample.lengthBytes]);
  // By the tracker's word, not by the rescue of those who have waited long enough.
  expect(new Set(ends.flatMap(rungsWhileFetching))).toEqual(new Set(['tracker']));
  expect(forOthers.reads.map(read => read.offsetBytes)).toEqual(expect.arrayContaining(held));
  expect(askedTwice(forOthers)).toEqual([]);
  expectCopies(world, sample, ['b', 'c']);
});

test('the origin is killed in mid-transfer and started again on its port: all agents finish', async () => {
  const world = await World.open(onTestFinished);
  const mortal = await world.origin();
  const sample = await world.publishSample(mortal, 'restart', 96);
  const gate = await world.gate(mortal);
  gate.holdAfter(30);

  const agents = await Promise.all(['a', 'b', 'c'].map(name => world.fetch(name, sample.job, gate.url)));
  await Promise.all(agents.map(agent => agent.until('some chunks', line => (line.haveCount ?? 0) > 0)));
  await gate.holds(1);
  // For the agents the gate was the origin: its connections break, its port is dead, then there is an origin again.
  await mortal.process.destroy();
  await gate.close();
  const counts = agents.map(agent => agent.progress?.haveCount ?? 0);
  await world.origin({ port: gate.port, dataDir: mortal.dataDir });
  const ends = await Promise.all(agents.map(agent => agent.ended()));

  expect(Math.max(...counts)).toBeLessThan(sample.chunkCount);
  expect(ends.map(end => end.exitCode)).toEqual([0, 0, 0]);
  expect(ends.map(receivedBytes)).toEqual(Array(3).fill(sample.lengthBytes));
  expectCopies(world, sample, ['a', 'b', 'c']);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends a fetch with 130; the next one goes on', async signal => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), `interrupted-${signal}`, 32);
  const gate = await world.gate(origin());
  gate.holdAfter(10);

  const first = await world.fetch('a', sample.job, gate.url);
  await first.until('10 chunks', line => line.haveCount === 10);
  first.kill(signal);
  const interrupted = await first.ended();
  gate.release();
  const second = await (await world.fetch('a', sample.job, gate.url, ['--linger', '0s'])).ended();

  expect({ exitCode: interrupted.exitCode, signal: interrupted.signal }).toEqual({ exitCode: 130, signal: undefined });
  expect(interrupted.last('error')).toMatchObject({ code: 'interrupted', exitCode: 130 });
  expect(interrupted.last('error').next).toContain('copy.starling-partial');
  expect(second.exitCode).toBe(0);
  expect(second.last('done')).toMatchObject({
    resumedBytes: 10 * CHUNK_BYTES,
    bytesFromOrigin: sample.lengthBytes - 10 * CHUNK_BYTES,
  });
  expect(existsSync(`${world.copy('a')}.starling-partial`)).toBe(false);
  expectCopies(world, sample, ['a']);
});

test('an origin that is told to end does so with 0, in mid-transfer too; its agents wait for the next one', async () => {
  const world = await World.open(onTestFinished);
  const mortal = await world.origin();
  const sample = await world.publishSample(mortal, 'ended', 32);
  const gate = await world.gate(mortal);
  gate.holdAfter(4);
  const agent = await world.fetch('a', sample.job, gate.url, ['--linger', '0s']);
  await gate.holds(1);

  mortal.process.kill('SIGTERM');
  const ended = await mortal.process.ended();
  await gate.close();
  const next = await world.origin({ port: gate.port, dataDir: mortal.dataDir });
  const fetched = await agent.ended();
  next.process.kill('SIGINT');

  expect({ exitCode: ended.exitCode, stderr: mortal.process.stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(fetched.exitCode).toBe(0);
  expect((await next.process.ended()).exitCode).toBe(0);
  expectCopies(world, sample, ['a']);
});

function expectCopies(world: World, sample: Sample, names: readonly string[]): void {
  const expected = listTree(sample.path);
  for (const name of names) expect(listTree(world.copy(name))).toEqual(expected);
}

function receivedBytes(ended: Ended): number {
  const { bytesFromOrigin = 0, bytesFromPeers = 0 } = ended.last('done');
  return bytesFromOrigin + bytesFromPeers;
}

function rungsWhileFetching(ended: Ended): readonly (string | undefined)[] {
  return ended.lines.filter(line => line.phase === 'fetching').map(line => line.discovery);
}

/** Chunks that were asked of the origin more than once. */
function askedTwice(gate: OriginGate): readonly number[] {
  const offsets = gate.reads.map(read => read.offsetBytes);
  return offsets.filter((offset, index) => offsets.indexOf(offset) !== index);
}
