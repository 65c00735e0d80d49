import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { startOriginServer } from '../../../agent/origin-server/origin-server.ts';
import { covers } from '../../../agent/origin-server/upload-staging.ts';
import { config } from '../../../core/config.ts';
import { bytesOf, expectBytes } from '../../conformance/origin.ts';
import { temporaryDirectory } from '../../temporary-directory.ts';

const BYTES = bytesOf(1000, 1);

async function uploadServer() {
  const dataDir = await temporaryDirectory();
  const start = () => startOriginServer({ dataDir, host: '127.0.0.1', port: 0, token: undefined, tracker: undefined });
  const server = await start();
  onTestFinished(() => server.close());
  const ask = async (method: string, query: string, body?: Uint8Array<ArrayBuffer>) => {
    const answer = await fetch(`${server.url}/v1/uploads/object?${query}`, { method, ...(body && { body }) });
    await answer.arrayBuffer();
    return answer.status;
  };
  const part = (upload: string, offset: number, length: number) =>
    ask(
      'PUT',
      `upload=${upload}&length=1000&offset=${offset}`,
      Uint8Array.from(BYTES.subarray(offset, offset + length)),
    );
  const complete = (upload: string) => ask('POST', `upload=${upload}&length=1000`);
  const object = async () => {
    const answer = await fetch(`${server.url}/v1/objects/object`);
    return answer.status === 200 ? new Uint8Array(await answer.arrayBuffer()) : undefined;
  };
  return { dataDir, ask, part, complete, object, staged: () => readdir(join(dataDir, '.starling-staging')) };
}

test('parts come in any order, overlap and repeat; the object shows at the end and never before', async () => {
  const { part, complete, object, staged } = await uploadServer();

  expect(await part('a', 600, 400)).toBe(204);
  expect(await part('a', 0, 300)).toBe(204);
  expect(await complete('a')).toBe(409);
  expect(await object()).toBeUndefined();
  expect(await part('a', 0, 300)).toBe(204);
  expect(await part('a', 250, 350)).toBe(204);

  expect(await complete('a')).toBe(201);

  expectBytes(await object(), BYTES);
  expect(await complete('a')).toBe(200);
  expect(await part('a', 0, 300)).toBe(204);
  expect(await staged()).toEqual([]);
});

test('two uploads of one object do not mix, and the second finds it there', async () => {
  const { ask, part, complete, object, staged } = await uploadServer();
  await part('a', 0, 1000);
  await ask('PUT', 'upload=b&length=1000&offset=0', new Uint8Array(1000));

  expect(await complete('a')).toBe(201);
  expect(await complete('b')).toBe(200);

  expectBytes(await object(), BYTES);
  expect(await ask('PUT', 'upload=c&length=5&offset=0', new Uint8Array(5))).toBe(204);
  expect(await ask('POST', 'upload=c&length=5')).toBe(412);
  expect(await ask('DELETE', 'upload=c&length=5')).toBe(204);
  expect(await ask('DELETE', 'upload=b&length=1000')).toBe(204);
  expect(await staged()).toEqual([]);
});

test('parts outside of the object, and requests without id or length, are refused', async () => {
  const { ask, part } = await uploadServer();

  expect(await ask('PUT', 'upload=a&length=1000&offset=995', new Uint8Array(6))).toBe(400);
  expect(await ask('PUT', 'upload=a&length=1000', new Uint8Array(6))).toBe(400);
  expect(await ask('PUT', 'upload=a&length=-5&offset=0', new Uint8Array(1))).toBe(400);
  expect(await ask('PUT', 'upload=../a&length=10&offset=0', new Uint8Array(1))).toBe(400);
  expect(await ask('POST', 'length=1000')).toBe(400);
  expect(await ask('GET', 'upload=a&length=1000')).toBe(405);
  expect(await part('a', 995, 5)).toBe(204);
});

test('an object larger than the disk is refused before its first byte', async () => {
  const { ask, staged } = await uploadServer();

  expect(await ask('PUT', 'upload=a&length=900000000000000&offset=0', new Uint8Array(5))).toBe(507);
  expect(await staged()).toEqual([]);
});

test('uploads that nobody completes are bounded in number, and swept a day later', async () => {
  const { dataDir, ask, part, staged } = await uploadServer();
  for (let count = 0; count < config.originServer.uploadsMax; count += 1) {
    expect(await part(`u-${count}`, 0, 10)).toBe(204);
  }

  expect(await part('one-more', 0, 10)).toBe(429);
  expect(await part('u-0', 10, 10)).toBe(204);
  expect(await ask('DELETE', 'upload=u-0&length=1000')).toBe(204);
  expect(await part('one-more', 0, 10)).toBe(204);

  const longAgo = new Date(Date.now() - config.originServer.stagingAgeMsMax - 60_000);
  for (const name of await staged()) await utimes(join(dataDir, '.starling-staging', name), longAgo, longAgo);
  const swept = new Promise<object>(resolve => {
    const log = { debug: () => undefined, info: (_: string, fields: object) => resolve(fields), warn: () => undefined };
    const settings = { dataDir, host: '127.0.0.1', port: 0, token: undefined, tracker: undefined, log };
    startOriginServer(settings).then(server => onTestFinished(() => server.close()));
  });
  expect(await swept).toEqual({ files: 2 * config.originServer.uploadsMax });
  expect(await staged()).toEqual([]);
});

test('ranges cover an object exactly if no byte is left out', () => {
  const range = fc.record({ offsetBytes: fc.nat(20), lengthBytes: fc.nat(10) });

  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), fc.nat(25), (ranges, lengthBytes) => {
      const bytes = Array.from({ length: lengthBytes }, (_, at) => at);
      const isCovered = (at: number) => ranges.some(r => at >= r.offsetBytes && at < r.offsetBytes + r.lengthBytes);
      expect(covers(ranges, lengthBytes)).toBe(bytes.every(isCovered));
    }),
  );
});
