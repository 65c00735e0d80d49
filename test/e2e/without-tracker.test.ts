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

test.concurrent('status shows every agent and how far it is; of a job that nobody fetches it says so', async ({
  expect,
  onTestFinished,
}) => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'watched', 16);
  const gate = await world.gate(origin());
  gate.holdAfter(6);
  const status = ['status', '--job', sample.job, '--origin', origin().url];

  const nobody = await world.run(status);
  const agents = await Promise.all(['a', 'b'].map(name => world.fetch(name, sample.job, gate.url)));
  const watch = world.start([...status, '--watch', '--every', '200ms']);
  const told = await watch.until('two agents with chunks', line => {
    const counts = (line.agents ?? []).map(({ haveCount }) => haveCount);
    return counts.length === 2 && counts.every(count => count > 0);
  });
  gate.release();
  const ends = await endsOf(agents);
  watch.kill('SIGINT');

  expect(nobody.exitCode).toBe(1);
  expect(nobody.last('error').code).toBe('unknown-job');
  expect(told.agents?.map(({ state }) => state)).toEqual(['fetching', 'fetching']);
  expect(told.agents?.every(({ percent }) => percent > 0 && percent < 100)).toBe(true);
  expect(ends.map(end => end.exitCode)).toEqual([0, 0]);
  expect((await watch.ended()).exitCode).toBe(0);
});

function endsOf(agents: readonly AgentProcess[]): Promise<Ended[]> {
  return Promise.all(agents.map(agent => agent.ended()));
}
