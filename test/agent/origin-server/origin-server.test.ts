import { readdir, readlink, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type OriginServerSettings, startOriginServer } from '../../../agent/origin-server/origin-server.ts';
import { FileOrigin } from '../../../agent/origins/file-origin.ts';
import { config } from '../../../core/config.ts';
import { bytesOf } from '../../conformance/origin.ts';
import { temporaryDirectory } from '../../temporary-directory.ts';

const MiB = 1024 * 1024;

async function serverWith(settings: Partial<OriginServerSettings>) {
  const dataDir = settings.dataDir ?? (await temporaryDirectory());
  const defaults = { host: '127.0.0.1', port: 0, token: undefined, tracker: undefined };
  const server = await startOriginServer({ ...defaults, ...settings, dataDir });
  onTestFinished(() => server.close());
  return { server, dataDir, objects: `${server.url}/v1/objects` };
}

/** One request, byte for byte as written: clients tidy paths and headers before they send them. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    const slices: Buffer[] = [];
    socket.on('data', slice => slices.push(slice));
    socket.on('end', () => resolve(Buffer.concat(slices).toString('latin1')));
    socket.on('error', reject);
  });
}

const PUT = { method: 'PUT', headers: { 'if-none-match': '*' } };

test('without the token there is nothing but health', async () => {
  const { server, objects } = await serverWith({ token: 'right', tracker: () => Promise.reject(new Error('asked')) });
  await fetch(`${objects}/a`, { ...PUT, headers: { ...PUT.headers, authorization: 'Bearer right' }, body: 'x' });

  for (const authorization of [undefined, 'Bearer wrong', 'Bearer', 'Basic right', 'bearer right ', 'Bearer right2']) {
    const headers = authorization === undefined ? {} : { authorization };
    for (const path of [
      '/v1/objects/a',
      '/v1/objects/none',
      '/v1/uploads/a?upload=u&length=1',
      '/v1/jobs/j/status',
      '/',
    ]) {
      const answer = await fetch(server.url + path, { headers });
      expect([path, authorization, answer.status]).toEqual([path, authorization, 401]);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect((await fetch(`${objects}/b`, { ...PUT, headers: { ...PUT.headers, ...headers }, body: 'x' })).status).toBe(
      401,
    );
  }

  const health = await fetch(`${server.url}/v1/health`);
  expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
});

test('keys that lead elsewhere are refused however they are written', async () => {
  const outside = await temporaryDirectory();
  await writeFile(join(outside, 'starling-secret'), 'secret');
  const { server } = await serverWith({ dataDir: join(outside, 'origin') });
  const paths = ['../starling-secret', '..%2fstarling-secret', '%2e%2e/starling-secret', '%2e%2e%2fstarling-secret'];
  paths.push('a/../../starling-secret', '/etc/passwd', '%2fetc%2fpasswd', '..%5cstarling-secret', 'a%00b', '%', '%ff');
  paths.push('', '.', 'a//b', '.starling-staging/x', 'a'.repeat(config.manifest.keyBytesMax + 1));

  for (const path of paths) {
    for (const [method, where] of [
      ['GET', 'objects'],
      ['PUT', 'objects'],
      ['PUT', 'uploads'],
    ] as const) {
      const query = where === 'uploads' ? '?upload=u&length=1&offset=0' : '';
      const head = `${method} /v1/${where}/${path}${query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n`;
      const answer = await raw(server.port, `${head}if-none-match: *\r\ncontent-length: 1\r\n\r\nx`);
      expect([path, method, answer.split('\r\n')[0]]).toEqual([path, method, 'HTTP/1.1 400 Bad Request']);
      expect(answer).not.toContain('secret\r');
    }
  }
});

test('ranges are answered as RFC 9110 says; nonsense is not answered with the whole object', async () => {
  const { objects } = await serverWith({});
  await fetch(`${objects}/a`, { ...PUT, body: bytesOf(100, 1) });
  const table: [string, number, string | null, number][] = [
    ['bytes=0-9', 206, 'bytes 0-9/100', 10],
    ['bytes=90-', 206, 'bytes 90-99/100', 10],
    ['bytes=-10', 206, 'bytes 90-99/100', 10],
    ['bytes=-1000', 206, 'bytes 0-99/100', 100],
    ['bytes=95-1000', 206, 'bytes 95-99/100', 5],
    ['bytes=99-99', 206, 'bytes 99-99/100', 1],
    ...[
      'bytes=100-',
      'bytes=100-200',
      'bytes=9-0',
      'bytes=-0',
      'bytes=-',
      'bytes=a-b',
      'bytes=0-1,5-6',
      'lines=0-1',
    ].map((range): [string, number, string | null, number] => [range, 416, 'bytes */100', -1]),
    ['bytes=0-99999999999999999999', 416, 'bytes */100', -1],
  ];

  for (const [range, status, contentRange, length] of table) {
    const answer = await fetch(`${objects}/a`, { headers: { range } });
    const body = new Uint8Array(await answer.arrayBuffer());
    expect([range, answer.status, answer.headers.get('content-range')]).toEqual([range, status, contentRange]);
    if (length >= 0) expect(body.length).toBe(length);
  }

  const whole = await fetch(`${objects}/a`);
  expect([whole.status, whole.headers.get('accept-ranges')]).toEqual([200, 'bytes']);
  const head = await fetch(`${objects}/a`, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '100']);
});

test('of many conditional writes at the same time exactly one wins, and file:// reads it', async () => {
  const { objects, dataDir } = await serverWith({});

  const answers = await Promise.all(
    Array.from({ length: 32 }, (_, at) => fetch(`${objects}/race`, { ...PUT, body: bytesOf(50_000, at) })),
  );

  const statuses = answers.map(answer => answer.status);
  expect(statuses.filter(status => status === 201)).toHaveLength(1);
  expect(statuses.filter(status => status === 412)).toHaveLength(31);
  const got = await new FileOrigin(dataDir).readObject('race', { bytesMax: 50_000 });
  expect(Buffer.compare(got ?? Buffer.of(), bytesOf(50_000, statuses.indexOf(201)))).toBe(0);
  expect(await readdir(join(dataDir, '.starling-staging'))).toEqual([]);
});

test('a write without If-None-Match, without a length, or too long is refused', async () => {
  const { server, objects } = await serverWith({});
  const chunked = 'connection: close\r\nif-none-match: *\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n';
  const long = `connection: close\r\nif-none-match: *\r\ncontent-length: ${config.originServer.objectBytesMax + 1}\r\n\r\n`;

  expect((await fetch(`${objects}/a`, { method: 'PUT', body: 'x' })).status).toBe(428);
  expect((await fetch(`${objects}/a`, { method: 'DELETE' })).status).toBe(405);
  expect((await fetch(`${server.url}/v1/nothing`)).status).toBe(404);
  expect(await raw(server.port, `PUT /v1/objects/a HTTP/1.1\r\nhost: x\r\n${chunked}`)).toContain(
    '411 Length Required',
  );
  expect(await raw(server.port, `PUT /v1/objects/a HTTP/1.1\r\nhost: x\r\n${long}`)).toContain('413 Payload Too Large');
  expect((await fetch(`${objects}/a`)).status).toBe(404);
});

test('a writer that goes away half way leaves nothing', async () => {
  const { server, objects, dataDir } = await serverWith({});
  const socket = connect(server.port, '127.0.0.1');
  socket.write('PUT /v1/objects/half HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-length: 1000000\r\n\r\n');
  socket.write(bytesOf(500_000, 1));
  const staging = join(dataDir, '.starling-staging');
  await vi.waitFor(async () => expect(await readdir(staging)).toHaveLength(1), 10_000);

  socket.destroy();

  await vi.waitFor(async () => expect(await readdir(staging)).toHaveLength(0), 10_000);
  expect((await fetch(`${objects}/half`)).status).toBe(404);
});

test('clients that go away in the middle of a range free its descriptor and its place', async () => {
  const { server, dataDir } = await serverWith({});
  await new FileOrigin(dataDir).writeObjectIfAbsent('large', bytesOf(32 * MiB, 1));
  const sockets: Socket[] = [];
  for (let count = 0; count < 10; count += 1) {
    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET /v1/objects/large HTTP/1.1\r\nhost: x\r\nrange: bytes=0-33554431\r\n\r\n');
    await new Promise(resolve => socket.once('readable', resolve));
    sockets.push(socket);
  }
  expect(server.counters.readsOpen).toBe(10);
  expect(await openFiles(join(dataDir, 'large'))).toBe(10);

  for (const socket of sockets) socket.destroy();

  await vi.waitFor(async () => {
    expect(server.counters.readsOpen).toBe(0);
    expect(await openFiles(join(dataDir, 'large'))).toBe(0);
  }, 10_000);
  expect(server.counters.objectBytesSent).toBeLessThan(10 * 32 * MiB);
});

async function openFiles(path: string): Promise<number> {
  const names = await readdir('/proc/self/fd');
  const targets = await Promise.all(names.map(name => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  return targets.filter(target => target === path).length;
}

test('the tracker hears method, path, body and caller, and its answer goes out as it is', async () => {
  const heard: unknown[] = [];
  const warn = vi.fn();
  const { server } = await serverWith({
    log: { debug: () => undefined, info: () => undefined, warn },
    tracker: async ({ method, path, body, remoteHost }) => {
      heard.push({ method, path, body: Buffer.from(body).toString(), remoteHost });
      return { status: 429, headers: { 'retry-after': '7', 'content-type': 'text/plain' }, body: 'full', cause: 'why' };
    },
  });

  const answer = await fetch(`${server.url}/v1/jobs/j/announce?x=1`, { method: 'POST', body: '{"a":1}' });

  expect([answer.status, answer.headers.get('retry-after'), await answer.text()]).toEqual([429, '7', 'full']);
  expect(heard).toEqual([{ method: 'POST', path: '/v1/jobs/j/announce', body: '{"a":1}', remoteHost: '127.0.0.1' }]);
  expect(warn).toHaveBeenCalledWith('tracker-failed', { error: 'why' });
});

test('a tracker request that is too long is refused; a tracker that throws is a 500, and logged', async () => {
  const warn = vi.fn();
  const { server } = await serverWith({
    log: { debug: () => undefined, info: () => undefined, warn },
    tracker: () => Promise.reject(new Error('boom')),
  });
  const url = `${server.url}/v1/jobs/j/announce`;
  const body = new Uint8Array(config.tracker.announceBytesMax + 1);

  expect((await fetch(url, { method: 'POST', body })).status).toBe(413);
  const answer = await fetch(url, { method: 'POST', body: '{}' });

  expect([answer.status, await answer.json()]).toMatchObject([500, { error: { code: 'unexpected' } }]);
  expect(warn).toHaveBeenCalledWith('request-failed', expect.objectContaining({ error: 'Error: boom' }));
});

test('a port in use is named, with what to do', async () => {
  const { server } = await serverWith({});

  await expect(serverWith({ port: server.port })).rejects.toMatchObject({
    code: 'port-in-use',
    message: expect.stringContaining(String(server.port)),
    next: expect.stringContaining('--port'),
  });
});

test('an address of another machine, and a data directory that cannot be, are refused', async () => {
  const dataDir = await temporaryDirectory();
  await writeFile(join(dataDir, 'file'), '');

  await expect(serverWith({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'usage' });
  await expect(serverWith({ dataDir: join(dataDir, 'file/below') })).rejects.toMatchObject({
    code: 'destination-unwritable',
    message: expect.stringContaining('file/below'),
  });
});

test('close lets a running answer end, refuses new connections and cuts who does not read', async () => {
  const { server, dataDir } = await serverWith({});
  const origin = new FileOrigin(dataDir);
  await origin.writeObjectIfAbsent('large', bytesOf(32 * MiB, 1));
  const sockets: Socket[] = [];
  for (let count = 0; count < 2; count += 1) {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /v1/objects/large HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise(resolve => socket.once('readable', resolve));
    sockets.push(socket);
  }
  const [running, stuck] = sockets;
  expect(server.counters.readsOpen).toBe(2);

  const closing = server.close();
  let received = 0;
  running?.on('data', slice => {
    received += slice.length;
  });
  await Promise.all([closing, new Promise(resolve => running?.once('close', resolve))]);

  expect(received).toBeGreaterThan(32 * MiB);
  expect(stuck?.bytesRead).toBeLessThan(32 * MiB);
  await expect(fetch(`${server.url}/v1/health`)).rejects.toThrow();
  expect(server.counters.readsOpen).toBe(0);
  for (const socket of sockets) socket.destroy();
});
