import { afterEach, describe, expect, test } from 'vitest';
import { assert } from '../../../core/assert.ts';
import { StarlingError } from '../../../core/errors.ts';
import { MemoryChunkStore } from './memory-chunk-store.ts';
import { collector, contents, failureOf, KiB, linked, TestPeer } from './test-peer.ts';

const LENGTH = 700 * KiB;
const CONTENTS = contents(8, LENGTH);
const peers: TestPeer[] = [];

/** `a` has all eight chunks, `b` none. */
async function pair(): Promise<readonly [TestPeer, TestPeer]> {
  const a = await new TestPeer('a', { store: MemoryChunkStore.holding(CONTENTS) }).listen();
  const b = await new TestPeer('b', { store: new MemoryChunkStore(a.store.chunks) }).listen();
  peers.push(a, b);
  await linked(a, b);
  return [a, b];
}

/** A chunk that the store receives, up to `bytes`. */
async function arriving(peer: TestPeer, chunk: number, bytes: number) {
  const receiver = peer.store.receive(chunk);
  await receiver.write(bytesOf(chunk).subarray(0, bytes));
  return receiver;
}

function bytesOf(chunk: number): Uint8Array {
  const bytes = CONTENTS[chunk];
  assert(bytes !== undefined, `chunk ${chunk} of the test`);
  return bytes;
}

function isChunk(chunk: number, bytes: Uint8Array): boolean {
  return Buffer.from(bytes).equals(bytesOf(chunk));
}

afterEach(async () => {
  await Promise.all(peers.splice(0).map(made => made.transport.close()));
});

describe('a download', () => {
  test('brings every byte of the chunk, and both ends agree on it', async () => {
    const [a, b] = await pair();
    const { sink, bytes } = collector();
    const heads: unknown[] = [];

    const outcome = await b.download(a.id, 3, { sink, onHead: head => heads.push(head) });
    await a.sees('upload-ended 1');

    expect(outcome).toEqual({ kind: 'received', passedOn: false });
    expect(isChunk(3, bytes())).toBe(true);
    expect(heads).toEqual([{ passedOn: false }]);
    expect(a.asked).toEqual([{ upload: 1, peer: b.id, chunk: 3 }]);
    expect(a.uploadsEnded).toEqual([{ upload: 1, sentBytes: LENGTH, complete: true }]);
  });

  test('may run beside others in both directions at once', async () => {
    const [a, b] = await pair();
    for (const chunk of [0, 1]) b.store.put(chunk, bytesOf(chunk));
    const collectors = CONTENTS.map(collector);

    const outcomes = await Promise.all([
      ...collectors.map(({ sink }, chunk) => b.download(a.id, chunk, { sink })),
      a.download(b.id, 0),
      a.download(b.id, 1),
    ]);

    expect(outcomes.every(outcome => outcome.kind === 'received')).toBe(true);
    expect(collectors.every(({ bytes }, chunk) => isChunk(chunk, bytes()))).toBe(true);
  });

  test('waits for a slow sink, and never calls it twice at one time', async () => {
    const [a, b] = await pair();
    let running = 0;
    let most = 0;
    let sunk = 0;
    const sink = async (slice: Uint8Array) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(resolve => setImmediate(resolve));
      sunk += slice.length;
      running -= 1;
    };

    const outcome = await b.download(a.id, 0, { sink });

    expect(outcome.kind).toBe('received');
    expect({ most, sunk, running }).toEqual({ most: 1, sunk: LENGTH, running: 0 });
  });

  test('hears busy with the time to wait, gone, and refused', async () => {
    const [a, b] = await pair();

    a.refuseAll({ kind: 'busy', retryAfterMs: 120 });
    const busy = await b.download(a.id, 0);
    a.refuseAll({ kind: 'gone' });
    const gone = await b.download(a.id, 0);
    a.refuseAll({ kind: 'quarantined' });
    const refused = await b.download(a.id, 0);

    expect(busy).toMatchObject({ kind: 'failed', failure: { kind: 'busy', retryAfterMs: 120 } });
    expect([gone, refused].map(failureOf)).toEqual(['gone', 'refused']);
    expect(a.uploadsEnded).toEqual([]);
  });

  test('of a chunk that the sender lacks is gone, and the upload ends with nothing sent', async () => {
    const [a, b] = await pair();

    const outcome = await a.download(b.id, 5);
    await b.sees('upload-ended 1');

    expect(failureOf(outcome)).toBe('gone');
    expect(b.uploadsEnded).toEqual([{ upload: 1, sentBytes: 0, complete: false }]);
  });

  test('fails as broken where there is no link', async () => {
    const [a, b] = await pair();
    const c = new TestPeer('c');

    b.transport.disconnect(a.id);

    expect(failureOf(await b.download(a.id, 0))).toBe('broken');
    expect(failureOf(await b.download(c.id, 0))).toBe('broken');
  });

  test('ends when our own sink fails, and says so', async () => {
    const [a, b] = await pair();
    const cause = new StarlingError('disk-full', 'no space');

    const outcome = await b.download(a.id, 0, { sink: () => Promise.reject(cause) });
    await a.sees('upload-ended 1');

    expect(outcome).toMatchObject({ kind: 'sink-failed', cause });
    expect(a.uploadsEnded[0]?.complete).toBe(false);
    expect(failureOf(await b.download(a.id, 0, { signal: AbortSignal.abort() }))).toBe('cancelled');
    expect((await b.download(a.id, 0)).kind).toBe('received');
  });

  test('that is cancelled while it waits or runs frees both ends', async () => {
    const [a, b] = await pair();
    const waiting = new AbortController();
    const running = new AbortController();
    a.answer = () => waiting.abort();
    const asleep = await b.download(a.id, 0, { signal: waiting.signal });
    a.answer = asked => a.transport.serve(asked.upload);
    let sinks = 0;
    const sink = async () => {
      sinks += 1;
      running.abort();
    };

    const awake = await b.download(a.id, 1, { signal: running.signal, sink });
    await a.sees('upload-ended 2');

    expect([asleep, awake].map(failureOf)).toEqual(['cancelled', 'cancelled']);
    expect(sinks).toBe(1);
    expect(a.uploadsEnded).toMatchObject([{ upload: 2, complete: false }]);
    // The one that was never served ends when somebody wants to serve it.
    a.transport.serve(1);
    await a.sees('upload-ended 1');
    expect(a.uploadsEnded[1]).toEqual({ upload: 1, sentBytes: 0, complete: false });
  });

  test('still works on the same link after 600 were cancelled in the middle', async () => {
    const [a, b] = await pair();
    for (let count = 0; count < 600; count += 1) {
      const cancel = new AbortController();
      const outcome = await b.download(a.id, count % 8, {
        signal: cancel.signal,
        sink: async () => cancel.abort(),
      });
      assert(outcome.kind === 'failed' && outcome.failure.kind === 'cancelled', 'a cancelled download');
    }
    a.transport.tell(b.id, { kind: 'offer', chunk: 7 });
    const { sink, bytes } = collector();

    const outcome = await b.download(a.id, 7, { sink });
    await b.sees('said a offer');
    await a.until(() => a.uploadsEnded.length === 601);

    expect(outcome.kind).toBe('received');
    expect(isChunk(7, bytes())).toBe(true);
    // The first session, and one after every `cancelsPerSessionMax`.
    expect(b.hellosSaid).toBe(3);
    expect(a.log.filter(line => line.startsWith('disconnected'))).toEqual([]);
    expect(b.log.filter(line => line.startsWith('disconnected'))).toEqual([]);
  });

  test('keeps the order of the messages while its session is replaced', async () => {
    const [a, b] = await pair();
    for (let count = 0; count < 300; count += 1) {
      const cancel = new AbortController();
      b.transport.tell(a.id, { kind: 'offer', chunk: count % 8 });
      await b.download(a.id, count % 8, { signal: cancel.signal, sink: async () => cancel.abort() });
    }
    for (let count = 300; count < 400; count += 1) {
      b.transport.tell(a.id, { kind: 'offer', chunk: count % 8 });
      await b.download(a.id, count % 8);
    }
    await a.until(() => a.said.length === 400);

    expect(a.said).toEqual(Array.from({ length: 400 }, (_, count) => ({ kind: 'offer', chunk: count % 8 })));
    expect(b.hellosSaid).toBe(2);
    expect(b.log).toEqual(['admit a', 'connected a']);
  });
});

describe('cut-through', () => {
  test('passes a chunk on while it arrives, and says that it is not verified', async () => {
    const [a, b] = await pair();
    const receiver = await arriving(b, 2, 100_000);
    const { sink, bytes } = collector();
    const heads: unknown[] = [];
    let received = 0;
    let wake: () => void = () => undefined;
    const firstPart = new Promise<void>(resolve => {
      wake = resolve;
    });

    const download = a.download(b.id, 2, {
      onHead: head => heads.push(head),
      sink: async slice => {
        await sink(slice);
        received += slice.length;
        if (received === 100_000) wake();
      },
    });
    await firstPart;
    await receiver.write(bytesOf(2).subarray(100_000));
    const outcome = await download;

    expect(b.store.have.has(2)).toBe(false);
    expect(await receiver.finish()).toBe('verified');
    expect(heads).toEqual([{ passedOn: true }]);
    expect(outcome).toEqual({ kind: 'received', passedOn: true });
    expect(isChunk(2, bytes())).toBe(true);
  });

  test.each(['stop', 'abort'] as const)('ends as gone when the source fails (%s)', async how => {
    const [a, b] = await pair();
    const receiver = await arriving(b, 2, 100_000);
    let received = 0;
    const sink = async (slice: Uint8Array) => {
      received += slice.length;
      if (received < 100_000) return;
      if (how === 'stop') b.transport.stop(1);
      else await receiver.abort();
    };

    const outcome = await a.download(b.id, 2, { sink });
    await b.sees('upload-ended 1');

    expect(outcome).toEqual({ kind: 'failed', failure: { kind: 'gone' }, receivedBytes: 100_000 });
    expect(b.uploadsEnded).toEqual([{ upload: 1, sentBytes: 100_000, complete: false }]);
  });

  test('ends as gone when the source fails with bytes that were not sent yet', async () => {
    const [a, b] = await pair();
    const receiver = await arriving(b, 2, 300_000);
    const read = b.store.read.bind(b.store);
    let reads = 0;
    b.store.read = async (chunk, offsetBytes, target) => {
      await read(chunk, offsetBytes, target);
      reads += 1;
      await receiver.abort();
    };

    const outcome = await a.download(b.id, 2);
    await b.sees('upload-ended 1');

    expect(failureOf(outcome)).toBe('gone');
    expect(reads).toBe(1);
  });

  test('does not put the bytes of a second source behind those of the first', async () => {
    const [a, b] = await pair();
    const first = await arriving(b, 2, 100_000);
    let received = 0;
    const sink = async (slice: Uint8Array) => {
      received += slice.length;
      if (received !== 100_000) return;
      await first.abort();
      await arriving(b, 2, 300_000);
    };

    const outcome = await a.download(b.id, 2, { sink });

    expect(outcome).toEqual({ kind: 'failed', failure: { kind: 'gone' }, receivedBytes: 100_000 });
  });

  test('runs down a chain of four while the first still receives', async () => {
    const source = MemoryChunkStore.holding(CONTENTS);
    const chain = await Promise.all(
      ['a', 'b', 'c', 'd'].map(name => new TestPeer(name, { store: new MemoryChunkStore(source.chunks) }).listen()),
    );
    peers.push(...chain);
    const [a, b, c, d] = chain;
    assert(a !== undefined && b !== undefined && c !== undefined && d !== undefined, 'four peers');
    await Promise.all([linked(a, b), linked(b, c), linked(c, d)]);
    const origin = await arriving(a, 0, 1000);
    const relay = async (from: TestPeer, to: TestPeer) => {
      const receiver = to.store.receive(0);
      const outcome = await to.download(from.id, 0, { sink: slice => receiver.write(slice) });
      return [outcome.kind, await receiver.finish()];
    };

    const relays = [relay(a, b), relay(b, c), relay(c, d)];
    await d.store.receiving(0)?.waitBeyond(999);
    await origin.write(bytesOf(0).subarray(1000));

    expect(await Promise.all(relays)).toEqual(Array(3).fill(['received', 'verified']));
    expect(await origin.finish()).toBe('verified');
  });
});

describe('an upload', () => {
  test('that the store cannot read ends short, and the failure is told', async () => {
    const [a, b] = await pair();
    const cause = new StarlingError('disk-failed', 'bad sector');
    a.store.read = () => Promise.reject(cause);

    const outcome = await b.download(a.id, 0);
    await a.sees('upload-ended 1');

    expect(failureOf(outcome)).toBe('gone');
    expect(a.readFailures).toEqual([cause]);
    expect(a.uploadsEnded).toEqual([{ upload: 1, sentBytes: 0, complete: false }]);
  });

  test('ends once, and the download breaks, when the link is ended by either side', async () => {
    const [a, b] = await pair();
    b.store.put(0, bytesOf(0));
    await arriving(b, 1, 1000);
    let cut: () => void = () => undefined;
    const sink = async () => cut();

    cut = () => b.transport.disconnect(a.id);
    const outcome = await a.download(b.id, 1, { sink });
    await b.sees('upload-ended 1');

    expect(failureOf(outcome)).toBe('broken');
    expect(b.uploadsEnded).toEqual([{ upload: 1, sentBytes: 1000, complete: false }]);
    await a.sees('disconnected b closed');
  });

  test('is finished before the transport closes', async () => {
    const [a, b] = await pair();
    let closing: Promise<void> | undefined;
    const sink = async () => {
      closing ??= a.transport.close();
    };

    const outcome = await b.download(a.id, 0, { sink });
    await closing;

    expect(outcome.kind).toBe('received');
    expect(a.uploadsEnded).toEqual([{ upload: 1, sentBytes: LENGTH, complete: true }]);
  });

  test('that gets no more bytes does not keep the transport from closing', async () => {
    const [a, b] = await pair();
    await arriving(b, 1, 1000);
    let closing: Promise<void> | undefined;
    const sink = async () => {
      closing ??= b.transport.close();
    };

    const outcome = await a.download(b.id, 1, { sink });
    await closing;

    expect(failureOf(outcome)).toBe('broken');
    expect(b.uploadsEnded).toEqual([{ upload: 1, sentBytes: 1000, complete: false }]);
  });
});
