import { expect, onTestFinished, test } from 'vitest';
import { sharedOrigin, World } from './agents.ts';

const origin = sharedOrigin();

test('status shows every agent and how far it is; of a job that nobody fetches it says so', async () => {
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
  const ends = await Promise.all(agents.map(agent => agent.ended()));
  watch.kill('SIGINT');

  expect(nobody.exitCode).toBe(1);
  expect(nobody.last('error').code).toBe('unknown-job');
  expect(told.agents?.map(({ state }) => state)).toEqual(['fetching', 'fetching']);
  expect(told.agents?.every(({ percent }) => percent > 0 && percent < 100)).toBe(true);
  expect(ends.map(end => end.exitCode)).toEqual([0, 0]);
  expect((await watch.ended()).exitCode).toBe(0);
});
