import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { TreeReceiver } from '../../../agent/disk/tree-receiver.ts';
import { SliceBuffers } from '../../../agent/peers/slice-buffers.ts';
import { someBytes } from './job-tree.ts';

const BUFFER = 100;

/** A disk that takes a write when it is told to, and says what it was given. */
function slowDisk(bytes: Uint8Array) {
  const writes: { readonly offsetBytes: number; readonly lengthBytes: number }[] = [];
  const pending: { readonly resolve: () => void; readonly reject: (cause: Error) => void }[] = [];
  const ended: string[] = [];
  const receiver = new TreeReceiver({
    chunk: 0,
    lengthBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    buffers: new SliceBuffers(BUFFER, 4),
    writeAt: (offsetBytes, piece) => {
      writes.push({ offsetBytes, lengthBytes: piece.length });
      return new Promise((resolve, reject) => pending.push({ resolve, reject }));
    },
    onVerified: async () => {
      ended.push('verified');
    },
    onEnded: () => ended.push('ended'),
  });
  const settle = (how: 'resolve' | 'reject'): Promise<void> => {
    const write = pending.shift();
    if (how === 'resolve') write?.resolve();
    else write?.reject(new Error('EIO'));
    return new Promise(resolve => setImmediate(resolve));
  };
  return { receiver, writes, ended, settle };
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await new Promise(resolve => setImmediate(resolve));
  return settled;
}

test('slices are gathered into full writes, and one is filled while another is on its way', async () => {
  const bytes = someBytes(350, 1);
  const { receiver, writes, settle } = slowDisk(bytes);
  for (let at = 0; at < 200; at += 40) await receiver.write(bytes.subarray(at, at + 40));
  expect(writes).toEqual([{ offsetBytes: 0, lengthBytes: 100 }]);

  // Both buffers are full: who brings more has to wait for the disk.
  const third = receiver.write(bytes.subarray(200, 240));
  expect(await isSettled(third)).toBe(false);
  await settle('resolve');
  await third;

  expect(receiver.availableBytes).toBe(100);
  expect(writes).toEqual([
    { offsetBytes: 0, lengthBytes: 100 },
    { offsetBytes: 100, lengthBytes: 100 },
  ]);
});

test('while somebody waits, every write takes what came since the one before', async () => {
  const bytes = someBytes(350, 1);
  const { receiver, writes, settle } = slowDisk(bytes);
  await receiver.write(bytes.subarray(0, 10));
  expect(writes).toEqual([]);
  const first = receiver.waitBeyond(0);
  const second = receiver.waitBeyond(15);
  await receiver.write(bytes.subarray(10, 12));
  await receiver.write(bytes.subarray(12, 20));
  await settle('resolve');
  expect(await first).toBe('more');
  expect(await isSettled(second)).toBe(false);
  await settle('resolve');

  expect(await second).toBe('more');
  expect(writes).toEqual([
    { offsetBytes: 0, lengthBytes: 10 },
    { offsetBytes: 10, lengthBytes: 10 },
  ]);
});

test('an abort waits for the write under way, starts no other, and frees the chunk then', async () => {
  const bytes = someBytes(350, 1);
  const { receiver, writes, ended, settle } = slowDisk(bytes);
  await receiver.write(bytes.subarray(0, 150));
  const waiting = receiver.waitBeyond(0);

  const aborted = receiver.abort();
  expect(await isSettled(aborted)).toBe(false);
  expect(ended).toEqual([]);
  await settle('resolve');
  await aborted;

  expect(await waiting).toBe('more');
  expect(await receiver.waitBeyond(100)).toBe('ended');
  expect(ended).toEqual(['ended']);
  expect(writes).toHaveLength(1);
});

test('a write that fails is told to the next one, and to finish', async () => {
  const bytes = someBytes(250, 1);
  const { receiver, ended, settle } = slowDisk(bytes);
  await receiver.write(bytes.subarray(0, 100));
  await settle('reject');
  await expect(receiver.write(bytes.subarray(100, 250))).rejects.toThrow('EIO');
  await expect(receiver.finish()).rejects.toThrow('EIO');
  await receiver.abort();

  expect(ended).toEqual(['ended']);
});

test('a chunk is verified only after its last byte is on the disk', async () => {
  const bytes = someBytes(100, 1);
  const { receiver, ended, settle } = slowDisk(bytes);
  await receiver.write(bytes);
  const finished = receiver.finish();
  expect(await isSettled(finished)).toBe(false);
  await settle('resolve');

  expect(await finished).toBe('verified');
  expect(ended).toEqual(['verified', 'ended']);
});
