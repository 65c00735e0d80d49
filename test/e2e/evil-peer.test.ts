import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';
import { type Ended, sharedOrigin, World } from './agents.ts';
import type { Misdeed } from './evil-peer.ts';
import { listTree } from './trees.ts';

const EVIL = fileURLToPath(new URL('./evil-peer.ts', import.meta.url));
const origin = sharedOrigin();

// All at one time: what takes long is that agents give a liar whom the tracker believes its time, and that costs nothing.
describe.concurrent('a peer that says it has everything, and then sends', () => {
  test.for<[misdeed: Misdeed, reason: string | undefined]>([
    ['wrong bytes', 'corrupt'],
    ['wrong bytes passed on', 'corrupt'],
    ['too few bytes', 'wrong-length'],
    ['too many bytes', 'wrong-length'],
    ['no answer', 'stalled'],
    ['half an answer', 'stalled'],
    // To have nothing is no crime; but nobody may wait for it.
    ['excuses', undefined],
  ])('%s stops nobody, and is quarantined with its reason', async ([misdeed, reason], { expect, onTestFinished }) => {
    const world = await World.open(onTestFinished);
    const sample = await world.publishSample(origin(), misdeed.replaceAll(' ', '-'), 48);
    const gate = await world.gate(origin());
    const evil = world.start([origin().url, sample.job, misdeed], { script: EVIL });
    await evil.until('that it has joined', line => line.kind === 'joined');

    const agents = await Promise.all(['a', 'b'].map(name => world.fetch(name, sample.job, gate.url)));
    const status = ['status', '--job', sample.job, '--origin', origin().url, '--watch', '--every', '200ms'];
    const watch = misdeed === 'wrong bytes' ? world.start(status) : undefined;
    await watch?.until('who quarantines it, and why', line =>
      (line.agents ?? []).some(agent => agent.progress.quarantined.some(isEvilAndCorrupt)),
    );
    const ends = await Promise.all(agents.map(agent => agent.ended()));

    expect(ends.map(end => end.exitCode)).toEqual([0, 0]);
    expect(evil.lines.some(line => line.kind === 'asked')).toBe(true);
    expect(new Set(ends.flatMap(reasonsOf))).toEqual(new Set(reason === undefined ? [] : [`evil ${reason}`]));
    expect(gate.sentBytes).toBeGreaterThanOrEqual(sample.lengthBytes);
    const expected = listTree(sample.path);
    for (const name of ['a', 'b']) expect(listTree(world.copy(name))).toEqual(expected);
  });
});

function isEvilAndCorrupt(quarantined: { readonly agentId: string; readonly reason: string }): boolean {
  return quarantined.agentId === 'evil' && quarantined.reason === 'corrupt';
}

function reasonsOf(ended: Ended): readonly string[] {
  return ended.lines.flatMap(line => (line.quarantined ?? []).map(({ peer, reason }) => `${peer} ${reason}`));
}
