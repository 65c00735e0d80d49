import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FileOrigin } from '../../../agent/origins/file-origin.ts';
import { HttpOrigin } from '../../../agent/origins/http-origin.ts';
import { seededRng } from '../../../core/rng.ts';
import { bytesOf, collect, expectBytes } from '../../conformance/origin.ts';
import { temporaryDirectory } from '../../temporary-directory.ts';
import { forkOriginServer } from './server-process.ts';

const MiB = 1024 * 1024;

/** A server that can be crashed and started again on its port, and a client of it. */
async function restartable() {
  const dataDir = await temporaryDirectory();
  let server = await forkOriginServer(dataDir, 0);
  const origin = new HttpOrigin(new URL(`http://127.0.0.1:${server.port}`), undefined, seededRng(1));
  onTestFinished(async () => {
    await origin.close();
    await server.kill();
  });
  const restart = async (): Promise<void> => {
    await server.kill();
    server = await forkOriginServer(dataDir, server.port);
  };
  return { dataDir, origin, restart };
}

test('an upload survives a crash of the server: no part is read twice', async () => {
  const { dataDir, origin, restart } = await restartable();
  const bytes = bytesOf(64 * MiB, 1);
  const cutsAt = Array.from({ length: 8 }, (_, at) => (at + 1) * 8 * MiB);
  const asked: number[] = [];
  const threeParts = Promise.withResolvers<void>();
  const staged = (writtenBytes: number): void => {
    if (writtenBytes >= 24 * MiB) threeParts.resolve();
  };
  const read = async ({ offsetBytes, lengthBytes }: { offsetBytes: number; lengthBytes: number }) => {
    asked.push(offsetBytes);
    if (asked.length === 8) await threeParts.promise.then(restart);
    return bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
  };

  await origin.writeLargeObject('object', { lengthBytes: bytes.length, cutsAt, read, onProgress: staged });

  expect(asked.toSorted((a, b) => a - b)).toEqual([0, ...cutsAt.slice(0, -1)]);
  const got = await new FileOrigin(dataDir).readObject('object', { bytesMax: bytes.length });
  expectBytes(got, bytes);
  expect(await readdir(join(dataDir, '.starling-staging'))).toEqual([]);
});

test('a range read survives a crash of the server, and goes on where it stopped', async () => {
  const { dataDir, origin, restart } = await restartable();
  const bytes = bytesOf(48 * MiB, 2);
  await new FileOrigin(dataDir).writeObjectIfAbsent('object', bytes);
  const slices = origin.readRange('object', { offsetBytes: 0, lengthBytes: bytes.length })[Symbol.asyncIterator]();

  const first = await slices.next();
  await restart();
  const rest = await collect({ [Symbol.asyncIterator]: () => slices });

  expectBytes(Buffer.concat([first.value ?? new Uint8Array(), rest]), bytes);
});
