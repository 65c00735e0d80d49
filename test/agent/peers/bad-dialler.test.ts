import { once } from 'node:events';
import { constants } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { config } from '../../../core/config.ts';
import { get, post, RawPeer, statusOf } from './raw-peer.ts';
import { linked, TestPeer } from './test-peer.ts';

let peer: TestPeer;
let raw: RawPeer;

beforeEach(async () => {
  peer = await new TestPeer('a').listen();
  raw = await new RawPeer().listen();
});

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all([peer.transport.close(), raw.close()]);
});

/** The transport still takes a link and serves a chunk. */
async function expectUnharmed(): Promise<void> {
  peer.answer = asked => peer.transport.serve(asked.upload);
  const friend = await new TestPeer('friend').listen();
  try {
    await linked(friend, peer);
    expect((await friend.download(peer.id, 0)).kind).toBe('received');
  } finally {
    await friend.transport.close();
  }
}

describe('a request', () => {
  test.each([
    ['without a token', { authorization: '' }, 401],
    ['with another token', { authorization: 'Bearer a-token-for-testS' }, 401],
    ['for another job', { ':path': '/v1/jobs/other/chunks/0' }, 404],
    ['for a chunk that the job has not', { ':path': '/v1/jobs/films-2024/chunks/4' }, 404],
    ['for no number', { ':path': '/v1/jobs/films-2024/chunks/0x1' }, 404],
    ['for no chunk at all', { ':path': '/v1/jobs/films-2024/chunks/' }, 404],
    ['by another method', { ':method': 'DELETE' }, 404],
    ['before a hello', {}, 409],
  ])('%s is refused', async (_what, headers, status) => {
    const session = await raw.dial(peer);

    expect(await statusOf(get(session, headers))).toBe(status);
    expect(peer.log).toEqual([]);
  });

  test('for a second link on one session is refused, and the first goes on', async () => {
    const { session, stream } = await raw.link(peer);

    const status = await statusOf(post(session));
    stream.write('{"kind":"offer","chunk":1}\n');
    await peer.sees('said raw offer');

    expect(status).toBe(409);
  });

  test('to move a link that does not stand is refused', async () => {
    const stream = post(await raw.dial(peer), { 'starling-moves': 'link' });
    stream.write(raw.hello);

    expect(await statusOf(stream)).toBe(409);
    expect(peer.log).toEqual([]);
  });
});

describe('a hello', () => {
  test.each([
    ['that is no JSON', 'hello\n'],
    ['that is no hello', '{"kind":"offer","chunk":1}\n'],
    ['with another have-map', '{"kind":"hello","have":"0000","arriving":[]}\n'],
    ['that is longer than any line may be', 'x'.repeat(config.peers.lineBytesMax + 1)],
  ])('%s is not understood', async (_what, line) => {
    const stream = post(await raw.dial(peer));
    stream.write(line);

    expect(await statusOf(stream)).toBe(400);
    expect(peer.log).toEqual([]);
    await expectUnharmed();
  });

  test('that does not come in time ends the session', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const session = await raw.dial(peer);
    const stream = post(session);
    stream.write(raw.hello.slice(0, -1));
    const closed = once(session, 'close');
    // A ping comes back when the other end has read all that was sent before it.
    await new Promise(resolve => session.ping(resolve));

    vi.advanceTimersByTime(config.peers.helloTimeoutMs);
    await closed;

    expect(peer.log).toEqual([]);
  });
});

describe('a line', () => {
  test.each([
    ['that is no JSON', '{"kind":'],
    ['of an unknown kind', '{"kind":"praise"}'],
    ['that is a second hello', '{"kind":"hello"}'],
    ['that is empty', ''],
  ])('%s ends the link', async (_what, line) => {
    const { stream } = await raw.link(peer);

    stream.write(`{"kind":"offer","chunk":1}\n${line}\n{"kind":"offer","chunk":2}\n`);
    await peer.sees('disconnected raw protocol');

    expect(peer.said).toEqual([{ kind: 'offer', chunk: 1 }]);
    await expectUnharmed();
  });

  test('without end ends the link', async () => {
    const { stream } = await raw.link(peer);

    stream.write('x'.repeat(config.peers.lineBytesMax + 1));

    await peer.sees('disconnected raw protocol');
  });

  test('may come byte by byte', async () => {
    const { stream } = await raw.link(peer);

    for (const byte of '{"kind":"offer","chunk":3}\n') {
      await new Promise(resolve => stream.write(byte, resolve));
    }
    await peer.sees('said raw offer');

    expect(peer.said).toEqual([{ kind: 'offer', chunk: 3 }]);
  });
});

describe('a requester', () => {
  test('that does not read what it asked for loses its upload after a while, and keeps its link', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { session } = await raw.link(peer);
    const stream = get(session);
    stream.pause();
    await peer.sees('asked raw 0');
    // Pings pass by: when the second is back, all that the window allows has been sent.
    await new Promise(resolve => session.ping(resolve));
    await new Promise(resolve => session.ping(resolve));

    vi.advanceTimersByTime(config.peers.uploadStalledMs);
    await peer.sees('upload-ended 1');

    expect(peer.uploadsEnded).toEqual([{ upload: 1, sentBytes: 0, complete: false }]);
    expect(peer.log.filter(line => line.startsWith('disconnected'))).toEqual([]);
  });
});

describe('a flood', () => {
  test('of requests that are refused ends the session', async () => {
    const session = await raw.dial(peer);
    const goaway = new Promise(resolve => session.once('goaway', resolve));

    for (let count = 0; count <= config.peers.rejectionsPerSessionMax; count += 1) get(session);

    expect(await goaway).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    await expectUnharmed();
  });

  test('of streams that are reset at once ends the session', async () => {
    peer.answer = () => undefined;
    const { session } = await raw.link(peer);
    const closed = new Promise(resolve => session.once('close', resolve));

    // Each batch is below the number of open streams; together they are more than the burst.
    for (let count = 0; count < 2 * config.peers.streamResetBurst && !session.destroyed; count += 1) {
      get(session).close(constants.NGHTTP2_CANCEL);
      if (count % 50 === 49) await new Promise(resolve => setImmediate(resolve));
    }
    await closed;

    await peer.until(() => peer.log.some(line => line.startsWith('disconnected raw')));
    await expectUnharmed();
  });

  test('of open requests is refused beyond the limit', async () => {
    peer.answer = () => undefined;
    const { session } = await raw.link(peer);

    // The limit holds the link stream as well; our own client end keeps to it, so the requests beyond it wait.
    for (let count = 0; count < 3 * config.peers.streamsPerSessionMax; count += 1) get(session);
    await new Promise(resolve => session.ping(resolve));
    await new Promise(resolve => session.ping(resolve));

    expect(peer.asked).toHaveLength(config.peers.streamsPerSessionMax - 1);
  });

  test('of headers is refused', async () => {
    const { session } = await raw.link(peer);
    // The limit holds from when our end has agreed to it; until then node's own holds, of 64 KiB.
    await new Promise(resolve => session.ping(resolve));
    const stream = get(session, { 'x-much': 'x'.repeat(2 * config.peers.headerListBytesMax) });

    await new Promise(resolve => stream.once('close', resolve));

    expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
    await expectUnharmed();
  });

  test('of connections is cut off at the limit', async () => {
    const sockets: Socket[] = [];
    let closedCount = 0;
    let atLimit: () => void = () => undefined;
    const cutOff = new Promise<void>(resolve => {
      atLimit = resolve;
    });
    for (let count = 0; count < config.peers.inboundSessionsMax + 20; count += 1) {
      const socket = connectTcp({ host: '127.0.0.1', port: peer.entry.port });
      socket.on('error', () => undefined);
      socket.resume();
      socket.once('close', () => {
        closedCount += 1;
        if (closedCount === 20) atLimit();
      });
      sockets.push(socket);
      await once(socket, 'connect');
    }
    await cutOff;

    expect(closedCount).toBe(20);
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map(socket => (socket.closed ? undefined : once(socket, 'close'))));
  });
});
