import { pathToFileURL } from 'node:url';
import { test } from 'vitest';
import { type AgentProcess, type Ended, sharedOrigin, World } from './agents.ts';
import { listTree } from './trees.ts';

// At one time: most of what these tests take is waiting.
const origin = sharedOrigin();

test.concurrent('a shared directory is origin enough: no server, no tracker', async ({ expect, onTestFinished }) => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'shared', 24);
  const url = pathToFileURL(origin().dataDir).href;

  const ends = await endsOf(await Promise.all(['a', 'b'].map(name => world.fetch(name, sample.job, url))));

  expect(ends.map(end => end.exitCode)).toEqual([0, 0]);
  for (const end of ends) expect(end.last('done')).toMatchObject({ bytesFromOrigin: sample.lengthBytes });
  for (const name of ['a', 'b']) expect(listTree(world.copy(name))).toEqual(listTree(sample.path));
});

test.concurrent('a tracker that cannot be reached does not stop who can read the origin', async ({
  expect,
  onTestFinished,
}) => {
  const world = await World.open(onTestFinished);
  const dead = await world.origin();
  await dead.process.destroy();
  const sample = await world.publishSample(origin(), 'no-tracker', 24);
  const gate = await world.gate(origin());
  gate.holdAfter(4);

  const agent = await world.fetch('a', sample.job, gate.url, ['--tracker', dead.url]);
  const fetching = await agent.until('4 chunks', line => line.haveCount === 4);
  gate.release();
  const ended = await agent.ended();

  expect(fetching.discovery).toBe('origin-alone');
  expect(ended.exitCode).toBe(0);
  expect(ended.last('done')).toMatchObject({ bytesFromOrigin: sample.lengthBytes, bytesFromPeers: 0 });
  expect(listTree(world.copy('a'))).toEqual(listTree(sample.path));
});

test.concurrent('an origin that cannot be reached is named, in bounded time', async ({ expect, onTestFinished }) => {
  const world = await World.open(onTestFinished);
  const dead = await world.origin();
  await dead.process.destroy();

  const ended = await (await world.fetch('a', 'any', dead.url)).ended();

  expect(ended.exitCode).toBe(3);
  expect(ended.last('error')).toMatchObject({ code: 'origin-unreachable', exitCode: 3 });
  expect(ended.last('error').message).toContain(dead.url);
});

test.concurrent('an agent whose way to the origin has gone silent does not hold up the others, and gets all from them', async ({
  expect,
  onTestFinished,
}) => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'silent', 32);
  const [silent, open] = [await world.gate(origin()), await world.gate(origin())];
  silent.holdAfter(0);

  const victim = await world.fetch('victim', sample.job, silent.url);
  await silent.holds(1);
  const others = await Promise.all(['a', 'b'].map(name => world.fetch(name, sample.job, open.url)));
  const ends = await endsOf([victim, ...others]);

  expect(ends.map(end => end.exitCode)).toEqual([0, 0, 0]);
  expect(ends[0]?.last('done')).toMatchObject({ bytesFromOrigin: 0, bytesFromPeers: sample.lengthBytes });
  // Its leases came to the others by way of the tracker; they had not to help themselves.
  const rungs = ends.slice(1).flatMap(end => end.lines.filter(line => line.phase === 'fetching'));
  expect(new Set(rungs.map(line => line.discovery))).toEqual(new Set(['tracker']));
  expect(open.sentBytes).toBe(sample.lengthBytes);
  for (const name of ['victim', 'a', 'b']) expect(listTree(world.copy(name))).toEqual(listTree(sample.path));
});

function endsOf(agents: readonly AgentProcess[]): Promise<Ended[]> {
  return Promise.all(agents.map(agent => agent.ended()));
}
