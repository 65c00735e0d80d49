import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { failureOf, TestPeer } from './test-peer.ts';

const SCRIPT = join(import.meta.dirname, 'peer-process.ts');
const peers: TestPeer[] = [];
const children: ChildProcess[] = [];

async function here(): Promise<TestPeer> {
  const peer = await new TestPeer('here').listen();
  peers.push(peer);
  return peer;
}

function start(...args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [SCRIPT, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await Promise.all(peers.splice(0).map(peer => peer.transport.close()));
});

describe('a peer in another process', () => {
  test('that is killed is missed at once, and its transfers end', async () => {
    const peer = await here();
    const child = start('join', JSON.stringify(peer.entry));
    await peer.sees('connected child');
    const id = peer.hellos[0]?.from.agentId ?? peer.id;
    const gone = once(child, 'exit');
    const sink = async () => {
      child.kill('SIGKILL');
      await gone;
    };

    const outcome = await peer.download(id, 0, { sink });
    await peer.sees('disconnected child broken');

    // The network may have had the whole chunk already.
    expect(outcome.kind === 'received' || failureOf(outcome) === 'broken').toBe(true);
    expect(peer.log).toEqual(['admit child', 'connected child', 'disconnected child broken']);
  });

  test('that stands still is given up, though its connection stays', async () => {
    const peer = await here();
    const child = start('join', JSON.stringify(peer.entry));
    await peer.sees('connected child');

    child.kill('SIGSTOP');
    const id = peer.hellos[0]?.from.agentId ?? peer.id;
    const outcome = await peer.download(id, 0);
    await peer.sees('disconnected child broken');

    expect(failureOf(outcome)).toBe('broken');
    expect(child.exitCode).toBeNull();
  });

  test('ends by itself when its transports have closed: no handle is left', async () => {
    const child = start('leave');
    let said = '';
    child.stdout?.on('data', (text: Buffer) => {
      said += text.toString();
    });

    const [code] = await once(child, 'exit');

    expect({ code, said }).toEqual({ code: 0, said: 'left\n' });
  });
});

describe('twenty peers', () => {
  test('are all linked with each other, hear each other, and trade', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, index) => new TestPeer(`p${index}`).listen()));
    peers.push(...all);

    for (const [index, peer] of all.entries()) {
      // Half of the pairs are dialled from both sides at once.
      for (const [other, { entry }] of all.entries()) {
        if (other < index || (other > index && (index + other) % 2 === 0)) peer.transport.connect(entry);
      }
    }
    await Promise.all(all.map(peer => peer.until(() => peer.hellos.length === 19)));
    for (const peer of all) peer.transport.tellAll({ kind: 'update', have: [1], arriving: [], dropped: [] });
    await Promise.all(all.map(peer => peer.until(() => peer.said.length === 19)));
    const outcomes = await Promise.all(
      all.flatMap(peer => all.filter(other => other !== peer).map(other => peer.download(other.id, 1))),
    );

    expect(outcomes.filter(({ kind }) => kind === 'received')).toHaveLength(380);
    expect(all.flatMap(peer => peer.log.filter(line => line.startsWith('disconnected')))).toEqual([]);
    for (const peer of all) expect(new Set(peer.hellos.map(({ from }) => from.agentId)).size).toBe(19);
  });
});
