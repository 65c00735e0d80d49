import { connect as connectTcp, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ChunkSet } from '../../../core/chunk-set.ts';
import { parseBootId, parseJobId } from '../../../core/ids.ts';
import type { PeerMessage } from '../../../core/peer-message.ts';
import { linked, TestPeer } from './test-peer.ts';

const peers: TestPeer[] = [];

async function peer(name: string, options: ConstructorParameters<typeof TestPeer>[1] = {}): Promise<TestPeer> {
  const made = await new TestPeer(name, options).listen();
  peers.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(peers.splice(0).map(made => made.transport.close()));
});

describe('a link', () => {
  test('is made from one side only, and tells each the hello of the other', async () => {
    const a = await peer('a');
    const b = await peer('b');
    b.store.have.delete(2);

    await linked(a, b);

    expect(a.hellos).toHaveLength(1);
    expect(a.hellos[0]).toMatchObject({ kind: 'hello', from: b.entry, arriving: [] });
    expect(a.hellos[0]?.have.equals(ChunkSet.of(4, [0, 1, 3]))).toBe(true);
    expect(b.hellos[0]?.from).toEqual(a.entry);
    expect(b.log).toEqual(['admit a', 'connected a']);
    expect(a.log).toEqual(['connected b']);
  });

  test('is made once when both sides dial at the same time', async () => {
    const a = await peer('a');
    const b = await peer('b');

    a.transport.connect(b.entry);
    b.transport.connect(a.entry);
    a.transport.connect(b.entry);
    await Promise.all([a.sees('connected b'), b.sees('connected a')]);
    a.transport.tell(b.id, { kind: 'offer', chunk: 1 });
    b.transport.tell(a.id, { kind: 'offer', chunk: 1 });
    await Promise.all([a.sees('said b offer'), b.sees('said a offer')]);

    expect(a.log).toEqual(['connected b', 'said b offer']);
    expect(b.log).toEqual(['connected a', 'said a offer']);
  });

  test('carries messages in the order in which they were said, in both directions', async () => {
    const a = await peer('a');
    const b = await peer('b');
    await linked(a, b);
    const messages: PeerMessage[] = Array.from({ length: 500 }, (_, count) =>
      count % 3 === 0
        ? { kind: 'update', have: [count % 4], arriving: [], dropped: [(count + 1) % 4] }
        : { kind: 'offer', chunk: count % 4 },
    );

    for (const message of messages) {
      a.transport.tell(b.id, message);
      b.transport.tellAll(message);
    }
    await Promise.all([a, b].map(one => one.until(() => one.said.length === 500)));

    expect(a.said).toEqual(messages);
    expect(b.said).toEqual(messages);
  });

  test('tells a peer nothing before it was told that the link stands', async () => {
    const a = await peer('a');
    const b = await peer('b');
    // What a says and asks as soon as it is connected may come before b has the answer to its own hello.
    a.onConnected = () => {
      a.transport.tell(b.id, { kind: 'decline', chunk: 3, because: 'full' });
      void a.download(b.id, 2);
    };

    a.transport.connect(b.entry);
    await Promise.all([b.sees('asked a 2'), b.sees('said a decline')]);

    expect(b.log.indexOf('connected a')).toBe(1);
  });

  test('carries what is told to all between its own hello and that of the peer', async () => {
    const a = await peer('a');
    const b = await peer('b');
    const hello = b.hello.bind(b);
    const logAtThatMoment: string[] = [];
    b.hello = () => {
      queueMicrotask(() => {
        logAtThatMoment.push(...b.log);
        b.transport.tellAll({ kind: 'update', have: [1], arriving: [], dropped: [] });
      });
      return hello();
    };

    a.transport.connect(b.entry);
    await a.sees('said b update');

    expect(logAtThatMoment).toEqual(['admit a']);
    expect(a.log).toEqual(['connected b', 'said b update']);
  });

  test('splits an update that is longer than one message may be', async () => {
    const a = await peer('a', { deps: { chunkCount: 200_000 } });
    const b = await peer('b', { deps: { chunkCount: 200_000 } });
    for (const one of [a, b]) {
      one.hello = () => ({ kind: 'hello', from: one.entry, have: new ChunkSet(200_000), arriving: [] });
    }
    await linked(a, b);
    const have = Array.from({ length: 150_000 }, (_, chunk) => chunk);

    a.transport.tell(b.id, { kind: 'update', have, arriving: [199_999], dropped: [] });
    await b.until(() => b.said.length === 3);

    const updates = b.said.map(message => (message.kind === 'update' ? message : undefined));
    expect(updates.flatMap(update => update?.have ?? [])).toEqual(have);
    expect(updates.flatMap(update => update?.arriving ?? [])).toEqual([199_999]);
  });
});

describe('a link ends', () => {
  test('as closed on the other side when one side orders it, and silently on its own', async () => {
    const a = await peer('a');
    const b = await peer('b');
    await linked(a, b);

    a.transport.disconnect(b.id);
    await b.sees('disconnected a closed');
    a.transport.tell(b.id, { kind: 'offer', chunk: 1 });

    expect(a.log).toEqual(['connected b']);
    expect(b.log).toEqual(['admit a', 'connected a', 'disconnected a closed']);
    b.transport.connect(a.entry);
    await Promise.all([a, b].map(one => one.until(() => one.hellos.length === 2)));
    expect(a.log).toEqual(['connected b', 'admit b', 'connected b']);
  });

  test('as closed when the other side closes its transport', async () => {
    const a = await peer('a');
    const b = await peer('b');
    await linked(a, b);

    await b.transport.close();
    await a.sees('disconnected b closed');

    expect(a.log.filter(line => line.startsWith('disconnected'))).toHaveLength(1);
  });

  test('when a new run of the peer dials, which is admitted anew', async () => {
    const a = await peer('a');
    const old = await peer('b', { bootId: 'boot-1' });
    const young = await peer('b', { bootId: 'boot-2' });
    await linked(a, old);

    young.transport.connect(a.entry);
    await a.until(() => a.hellos.length === 2);
    await old.until(() => old.log.some(line => line.startsWith('disconnected')));

    expect(a.log).toEqual(['connected b', 'disconnected b broken', 'admit b', 'connected b']);
    expect(a.hellos[1]?.from.bootId).toBe('boot-2');
  });

  test('with `protocol` on a peer that says what cannot be parsed, with `broken` on its side', async () => {
    const a = await peer('a');
    const b = await peer('b', { deps: { chunkCount: 4 } });
    await linked(a, b);

    // Chunk 9 does not exist in a job of four.
    a.transport.tell(b.id, { kind: 'offer', chunk: 9 });
    await Promise.all([b.sees('disconnected a protocol'), a.sees('disconnected b broken')]);

    expect(b.said).toEqual([]);
  });

  test('when the peer reads nothing and the queue to it is full', async () => {
    const a = await peer('a');
    const b = await peer('b');
    await linked(a, b);
    const offers = Array.from({ length: 60_000 }, (_, chunk) => chunk % 4);

    // 60,000 indices are 120 KB a message: 8 MiB of them are too many for a neighbour that has had no turn to read.
    for (let count = 0; count < 80; count += 1) {
      a.transport.tell(b.id, { kind: 'update', have: offers, arriving: [], dropped: [] });
    }
    await a.sees('disconnected b broken');
    await b.until(() => b.log.some(line => line.startsWith('disconnected a')));

    expect(a.log.filter(line => line.startsWith('disconnected'))).toHaveLength(1);
  });
});

describe('no link comes about', () => {
  test('with a peer that admits nobody more', async () => {
    const a = await peer('a');
    const b = await peer('b');
    b.verdict = 'full';

    a.transport.connect(b.entry);
    await a.sees('disconnected b refused');

    expect(b.log).toEqual(['admit a']);
  });

  test('with another token, job or run at the address', async () => {
    const b = await peer('b');
    const outsider = await peer('a', { deps: { token: 'guessed' } });
    const stranger = await peer('c', { deps: { job: parseJobId('other-job') } });
    const late = await peer('d');

    outsider.transport.connect(b.entry);
    stranger.transport.connect(b.entry);
    late.transport.connect({ ...b.entry, bootId: parseBootId('boot-0') });
    await Promise.all([outsider, stranger, late].map(one => one.sees('disconnected b refused')));

    expect(b.log).toEqual([]);
  });

  test('with oneself, by name or by address', async () => {
    const a = await peer('a');
    const twin = await peer('a', { bootId: 'boot-2' });

    a.transport.connect(a.entry);
    await a.sees('disconnected a refused');
    // A second process that was given the same agent id.
    a.transport.connect({ ...twin.entry, agentId: peers[1]?.id ?? a.id });
    await a.until(() => a.log.length === 2);

    expect(a.log).toEqual(['disconnected a refused', 'disconnected a refused']);
    expect(twin.log).toEqual([]);
  });

  test('with a job of another length', async () => {
    const a = await peer('a');
    const b = await peer('b', { deps: { chunkCount: 400 } });

    a.transport.connect(b.entry);
    await a.sees('disconnected b protocol');

    expect(b.log).toEqual([]);
  });

  test('where nobody listens', async () => {
    const a = await peer('a');
    const b = await peer('b');
    await b.transport.close();

    a.transport.connect(b.entry);

    await a.sees('disconnected b unreachable');
  });

  test('with a peer that answers, but cannot dial back', async () => {
    const a = await peer('a');
    const b = await peer('b');
    const nowhere = await peer('c');
    await nowhere.transport.close();
    // a tells an address where nobody is.
    a.entry = { ...a.entry, port: nowhere.entry.port };

    a.transport.connect(b.entry);
    await b.sees('disconnected a unreachable');
    await a.sees('disconnected b closed');

    expect(a.hellos).toEqual([]);
  });

  test('with a server that does not speak HTTP/2', async () => {
    const a = await peer('a');
    const b = new TestPeer('b');
    const server = createServer(socket => {
      socket.on('error', () => undefined);
      socket.resume();
      socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();

    a.transport.connect({ ...b.entry, port: typeof address === 'object' && address ? address.port : 0 });
    await a.until(() => a.log.length === 1);

    expect(a.log[0]).toMatch(/^disconnected b (protocol|broken)$/);
    await new Promise(resolve => server.close(resolve));
  });
});

describe('the listening end', () => {
  test('says which port is taken', async () => {
    const a = await peer('a');
    const b = new TestPeer('b');

    await expect(b.transport.listen({ host: '127.0.0.1', port: a.entry.port })).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringContaining(`${a.entry.port}`),
    });
    await b.transport.close();
  });

  test('survives what is no HTTP/2 at all', async () => {
    const a = await peer('a');
    const b = await peer('b');
    const socket = connectTcp({ host: '127.0.0.1', port: a.entry.port });
    socket.on('error', () => undefined);
    const ended = new Promise(resolve => socket.once('close', resolve));
    socket.end('GET / HTTP/1.1\r\n\r\n');
    socket.resume();
    await ended;

    await linked(b, a);
  });

  test('closes twice as well as once, also without ever having listened', async () => {
    const a = new TestPeer('a');

    await Promise.all([a.transport.close(), a.transport.close()]);
    a.transport.connect(a.entry);

    expect(a.log).toEqual([]);
  });
});
