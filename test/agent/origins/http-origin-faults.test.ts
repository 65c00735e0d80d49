import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { HttpOrigin } from '../../../agent/origins/http-origin.ts';
import { config } from '../../../core/config.ts';
import type { Rng } from '../../../core/rng.ts';
import { bytesOf, collect, expectBytes } from '../../conformance/origin.ts';

/** Retries without waiting. */
const AT_ONCE: Rng = { below: () => 0 };
const WHOLE = { offsetBytes: 0, lengthBytes: 1_000_000 };
const BYTES = bytesOf(WHOLE.lengthBytes, 1);

type Serve = (request: IncomingMessage, response: ServerResponse, count: number) => void;

async function originOf(serve: Serve): Promise<{ readonly origin: HttpOrigin; readonly seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    serve(request, response, seen.length);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const origin = new HttpOrigin(new URL(`http://127.0.0.1:${portOf(server.address())}`), 'token', AT_ONCE);
  onTestFinished(async () => {
    await origin.close();
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  return { origin, seen };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new TypeError('no TCP server');
  return address.port;
}

/** Answers the range that was asked for as a good server does, but only `sent` bytes of it. */
function sendRange(request: IncomingMessage, response: ServerResponse, sent: number): void {
  const [, first = '', last = ''] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const body = BYTES.subarray(Number(first), Number(last) + 1);
  response.writeHead(206, {
    'content-length': body.length,
    'content-range': `bytes ${first}-${last}/${BYTES.length}`,
  });
  if (sent >= body.length) response.end(body);
  else response.write(body.subarray(0, sent), () => response.destroy());
}

test('a busy server is asked again, after the time it names', async () => {
  const { origin, seen } = await originOf((_, response, count) => {
    const headers = { 'retry-after': '0', 'content-length': 5 };
    if (count <= 2) response.writeHead(count === 1 ? 503 : 429, headers).end('later');
    else response.end('hello');
  });

  const bytes = await origin.readObject('any', { bytesMax: 10 });

  expect(Buffer.from(bytes ?? []).toString()).toBe('hello');
  expect(seen).toHaveLength(3);
});

test('a server that stays busy is given up after a bounded number of tries', async () => {
  const { origin, seen } = await originOf((_, response) => response.writeHead(500).end());

  await expect(origin.readObject('any', { bytesMax: 10 })).rejects.toMatchObject({
    code: 'origin-unreachable',
    message: expect.stringContaining('500'),
  });
  expect(seen).toHaveLength(config.originRequest.triesMax);
});

test('nobody listening is said as what it is, with what to check', async () => {
  const gone = createServer();
  await new Promise<void>(resolve => gone.listen(0, '127.0.0.1', resolve));
  const port = portOf(gone.address());
  await new Promise(resolve => gone.close(resolve));
  const lost = new HttpOrigin(new URL(`http://127.0.0.1:${port}`), undefined, AT_ONCE);

  await expect(lost.hasObject('any', 1)).rejects.toMatchObject({
    code: 'origin-unreachable',
    message: expect.stringContaining('ECONNREFUSED'),
    next: expect.stringContaining('agent origin'),
  });
  await lost.close();
});

test('a range that breaks off goes on at the byte where it stopped', async () => {
  const { origin, seen } = await originOf((request, response, count) =>
    sendRange(request, response, count <= 3 ? 250_000 : Number.POSITIVE_INFINITY),
  );

  const got = await collect(origin.readRange('any', WHOLE));

  expectBytes(got, BYTES);
  const starts = seen.map(request => Number(/\d+/.exec(request.headers.range ?? '')?.[0]));
  expect(starts).toHaveLength(4);
  // What was under way in a cut socket may be lost, but nothing that arrived is asked for again.
  expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  expect(starts[1]).toBeGreaterThan(0);
});

test('a range that breaks off again and again is given up', async () => {
  const { origin, seen } = await originOf((request, response) => sendRange(request, response, 10));

  await expect(collect(origin.readRange('any', WHOLE))).rejects.toMatchObject({ code: 'origin-unreachable' });
  expect(seen).toHaveLength(config.originRequest.resumesMax + 1);
});

test('a server or proxy that answers another range is refused at once', async () => {
  const answers: [number, Record<string, string>][] = [
    [200, {}],
    [206, {}],
    [206, { 'content-range': 'bytes 1-1000000/1000001' }],
    [206, { 'content-range': 'bytes 0-999998/1000000' }],
  ];
  for (const [status, headers] of answers) {
    const { origin, seen } = await originOf((_, response) =>
      response.writeHead(status, { ...headers, 'content-length': BYTES.length }).end(BYTES),
    );

    await expect(collect(origin.readRange('any', WHOLE))).rejects.toMatchObject({ code: 'origin-refused' });
    expect(seen).toHaveLength(1);
  }
});

test('a wrong token is refused at once, with where to give the right one', async () => {
  const { origin, seen } = await originOf((_, response) => response.writeHead(401).end('no'));

  await expect(origin.writeObjectIfAbsent('any', BYTES)).rejects.toMatchObject({
    code: 'origin-refused',
    next: expect.stringContaining('STARLING_TOKEN'),
  });
  expect(seen).toHaveLength(1);
  expect(seen[0]?.headers.authorization).toBe('Bearer token');
});

test('a write whose answer was lost still knows that it has written', async () => {
  let stored = Buffer.alloc(0);
  const { origin } = await originOf(async (request, response, count) => {
    const slices: Buffer[] = [];
    for await (const slice of request) slices.push(slice);
    if (count === 1) {
      stored = Buffer.concat(slices);
      request.socket.destroy();
    } else if (request.method === 'PUT') response.writeHead(412).end();
    else if (request.method === 'HEAD') response.writeHead(200, { 'content-length': stored.length }).end();
    else response.end(stored);
  });

  expect(await origin.writeObjectIfAbsent('any', BYTES)).toBe('written');
});

test('a write whose answer was lost does not claim the object of another', async () => {
  const { origin } = await originOf(async (request, response, count) => {
    for await (const _ of request);
    if (count === 1) request.socket.destroy();
    else if (request.method === 'PUT') response.writeHead(412).end();
    else if (request.method === 'HEAD') response.writeHead(200, { 'content-length': BYTES.length }).end();
    else response.end(bytesOf(BYTES.length, 2));
  });

  expect(await origin.writeObjectIfAbsent('any', BYTES)).toBe('exists');
});

test('why an upload failed is told in the words of the server, and its parts are given up', async () => {
  const { origin, seen } = await originOf((request, response) => {
    if (request.method === 'HEAD') response.writeHead(404).end();
    else if (request.method === 'DELETE') response.writeHead(204).end();
    else
      response
        .writeHead(507)
        .end(JSON.stringify({ error: { code: 'disk-full', message: 'no room', next: 'make room' } }));
  });
  const read = async ({ lengthBytes }: { lengthBytes: number }) => new Uint8Array(lengthBytes);

  await expect(origin.writeLargeObject('any', { lengthBytes: 100, cutsAt: [], read })).rejects.toMatchObject({
    code: 'origin-refused',
    message: expect.stringContaining('no room'),
    next: 'make room',
  });
  expect(seen.map(request => request.method)).toEqual(['HEAD', 'PUT', 'DELETE']);
});
