import { constants } from 'node:http2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RawPeer } from './raw-peer.ts';
import { failureOf, KiB, TestPeer } from './test-peer.ts';

const LENGTH = 256 * KiB;
let peer: TestPeer;
let raw: RawPeer;

beforeEach(async () => {
  peer = await new TestPeer('a').listen();
  raw = await new RawPeer().listen();
  await raw.link(peer);
});

afterEach(async () => {
  await Promise.all([peer.transport.close(), raw.close()]);
});

describe('a sender that', () => {
  test.each([
    ['ends before the promised length', LENGTH, LENGTH - 1],
    ['ends at once', LENGTH, 0],
    ['promises nothing and sends too little', undefined, LENGTH - 1],
    ['promises nothing and sends too much', undefined, LENGTH + 1],
    ['promises another length', LENGTH + 1, LENGTH + 1],
  ])('%s has sent the wrong length', async (_what, promised, sent) => {
    raw.onGet = stream => {
      stream.respond({ ':status': 200, ...(promised === undefined ? {} : { 'content-length': promised }) });
      stream.end(Buffer.alloc(sent));
    };
    let sunk = 0;

    const outcome = await peer.download(raw.id, 0, {
      sink: async slice => {
        sunk += slice.length;
      },
    });

    expect(failureOf(outcome)).toBe('wrong-length');
    expect(sunk).toBeLessThanOrEqual(LENGTH);
    expect(peer.log).toEqual(['admit raw', 'connected raw']);
  });

  test('sends more than it promised breaks the protocol', async () => {
    raw.onGet = stream => {
      stream.respond({ ':status': 200, 'content-length': LENGTH });
      stream.end(Buffer.alloc(LENGTH + 1));
    };

    await peer.download(raw.id, 0);

    await peer.sees('disconnected raw protocol');
  });

  test('promises nothing but sends what is right is believed', async () => {
    raw.onGet = stream => {
      stream.respond({ ':status': 200 });
      stream.end(Buffer.alloc(LENGTH));
    };

    expect(await peer.download(raw.id, 0)).toEqual({ kind: 'received', passedOn: false });
  });

  test('never answers, or stops in the middle, holds nothing after the download is given up', async () => {
    const streams: { readonly rstCode: number }[] = [];
    const giveUp = new AbortController();
    raw.onGet = stream => {
      streams.push(stream);
      stream.on('close', () => peer.lookAgain());
      if (streams.length === 2) stream.respond({ ':status': 200, 'content-length': LENGTH });
      if (streams.length === 2) stream.write(Buffer.alloc(1000));
      if (streams.length === 2) giveUp.abort();
    };

    const outcomes = await Promise.all([0, 1].map(chunk => peer.download(raw.id, chunk, { signal: giveUp.signal })));
    await peer.until(() => streams.every(stream => stream.rstCode === constants.NGHTTP2_CANCEL));

    expect(outcomes.map(failureOf)).toEqual(['cancelled', 'cancelled']);
  });

  test('destroys its session in the middle of a body is a broken link', async () => {
    raw.onGet = stream => {
      stream.respond({ ':status': 200, 'content-length': LENGTH });
      stream.write(Buffer.alloc(1000), () => stream.session?.destroy());
    };

    const outcome = await peer.download(raw.id, 0);
    await peer.sees('disconnected raw closed');

    expect(failureOf(outcome)).toBe('broken');
  });

  test.each([
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'busy'],
    [constants.NGHTTP2_REFUSED_STREAM, 'busy'],
    [constants.NGHTTP2_INTERNAL_ERROR, 'gone'],
    [constants.NGHTTP2_CANCEL, 'broken'],
  ])('resets a request with code %i', async (code, failure) => {
    raw.onGet = stream => stream.close(code);

    expect(failureOf(await peer.download(raw.id, 0))).toBe(failure);
  });

  test.each([
    [401, 'refused'],
    [409, 'refused'],
    [410, 'gone'],
    [500, 'broken'],
    [302, 'broken'],
  ])('answers %i', async (status, failure) => {
    raw.onGet = stream => stream.respond({ ':status': status }, { endStream: true });

    expect(failureOf(await peer.download(raw.id, 0))).toBe(failure);
  });

  test.each(['soon', '-1', '99999999999'])('says busy until %s gives no time', async retryAfterMs => {
    raw.onGet = stream =>
      stream.respond({ ':status': 503, 'starling-retry-after-ms': retryAfterMs }, { endStream: true });

    expect(await peer.download(raw.id, 0)).toMatchObject({ failure: { kind: 'busy', retryAfterMs: undefined } });
  });

  test('refuses with a body without end is not listened to', async () => {
    raw.onGet = stream => {
      stream.respond({ ':status': 503 });
      const talk = (): void => {
        if (!stream.destroyed) stream.write(Buffer.alloc(1000), talk);
      };
      talk();
    };
    let sunk = 0;

    const outcome = await peer.download(raw.id, 0, {
      sink: async slice => {
        sunk += slice.length;
      },
    });

    expect(failureOf(outcome)).toBe('busy');
    expect(sunk).toBe(0);
  });

  test('talks where it has nothing to say breaks the protocol', async () => {
    peer.transport.disconnect(raw.id);
    const other = await new RawPeer().listen();
    try {
      peer.transport.connect(other.entry);
      await other.link(peer);
      await peer.until(() => peer.hellos.length === 2);

      other.heard?.write('lines go the other way');

      await peer.sees('disconnected raw protocol');
    } finally {
      await other.close();
    }
  });

  test('refuses in the middle of too many streams makes us come on another session', async () => {
    let sessions = 0;
    raw.server.on('session', () => {
      sessions += 1;
    });
    raw.onGet = stream => {
      if (sessions === 0) return stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      stream.respond({ ':status': 200 });
      stream.end(Buffer.alloc(LENGTH));
    };

    const refused = failureOf(await peer.download(raw.id, 0));
    let outcome = await peer.download(raw.id, 0);
    while (outcome.kind !== 'received') outcome = await peer.download(raw.id, 0);

    expect({ refused, sessions }).toEqual({ refused: 'busy', sessions: 1 });
    expect(peer.log).toEqual(['admit raw', 'connected raw']);
  });
});
