import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { TrackerClient } from '../../agent/tracker-client.ts';
import { config } from '../../core/config.ts';
import { parseJobId } from '../../core/ids.ts';
import { seededRng } from '../../core/rng.ts';
import { MemoryRosterStore } from '../../tracker/memory-roster-store.ts';
import { routeTrackerRequest } from '../../tracker/routes.ts';
import { TrackerService } from '../../tracker/service.ts';
import { announceOf } from '../core/announce-of.ts';

const JOB = parseJobId('llama-7');
type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

const toClose: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

describe('with a tracker', () => {
  test('an announce is answered', async () => {
    const { client } = await clientOf(realTracker());

    await client.announce(announceOf('ann'));
    const result = await client.announce({ ...announceOf('bob'), host: undefined });

    expect(result).toMatchObject({
      kind: 'answered',
      answer: { peers: [{ agentId: 'ann', host: 'ann.test' }], leases: [{ chunk: 1 }], agentCount: 2 },
    });
    expect((await client.status(JOB)).agents).toMatchObject([{ agentId: 'ann' }, { host: '127.0.0.1' }]);
  });

  test('a path of the address goes before ours, and the token goes along', async () => {
    const seen: unknown[] = [];
    const { client } = await clientOf(
      (request, response) => {
        seen.push([request.url, request.headers.authorization, request.headers['content-type']]);
        reply(response, 404, {});
      },
      { path: '/fleet/', token: 'secret' },
    );

    await client.announce(announceOf('ann'));

    expect(seen).toEqual([['/fleet/v1/jobs/llama-7/announce', 'Bearer secret', 'application/json']]);
  });

  test('connections are kept and used again', async () => {
    const { client, server } = await clientOf(realTracker());
    let connections = 0;
    server.on('connection', () => {
      connections += 1;
    });

    for (let announce = 0; announce < 20; announce += 1) await client.announce(announceOf('ann'));

    expect(connections).toBeLessThanOrEqual(config.tracker.connectionsMax);
  });

  test('a refusal says what the tracker says', async () => {
    const { client } = await clientOf(realTracker());
    await client.announce(announceOf('ann'));

    const result = await client.announce(announceOf('bob', { manifestDigest: 'cd'.repeat(32) }));

    expect(result).toMatchObject({
      kind: 'refused',
      code: 'different-manifest',
      next: expect.stringContaining('job id'),
    });
    await expect(client.status(parseJobId('video'))).rejects.toMatchObject({ code: 'unknown-job' });
  });
});

describe('an announce has failed, and may be tried again', () => {
  test.each([429, 500, 502, 503, 504])('when the answer is %i, after as long as that asks for', async status => {
    const { client } = await clientOf((_, response) => reply(response, status, {}, { 'retry-after': '3' }));

    expect(await client.announce(announceOf('ann'))).toMatchObject({ kind: 'failed', retryAfterMs: 3000 });
  });

  test('when the answer asks for no certain wait', async () => {
    const { client } = await clientOf((_, response) => reply(response, 503, {}, { 'retry-after': 'soon' }));

    expect(await client.announce(announceOf('ann'))).toMatchObject({ kind: 'failed', retryAfterMs: undefined });
  });

  test.each([
    ['is no JSON', '<html>welcome</html>'],
    ['is empty', ''],
    ['is no answer', '{"peers":7}'],
    [
      'leases a chunk that the job does not have',
      JSON.stringify({
        peers: [],
        leases: [{ chunk: 40, startsInMs: 0, expiresInMs: 1 }],
        announceInMs: 1,
        agentCount: 1,
      }),
    ],
    ['is longer than an answer can be', 'x'.repeat(config.tracker.answerBytesMax + 1)],
  ])('when the answer %s', async (_, body) => {
    const { client } = await clientOf((_, response) => void response.end(body));

    expect(await client.announce(announceOf('ann'))).toMatchObject({ kind: 'failed', why: expect.any(String) });
  });

  test('when the connection is cut', async () => {
    const { client } = await clientOf((_, response) => void response.destroy());

    expect(await client.announce(announceOf('ann'))).toMatchObject({ kind: 'failed', retryAfterMs: undefined });
  });

  test('when nobody listens', async () => {
    const { client, server } = await clientOf(realTracker());
    await closed(server);

    expect(await client.announce(announceOf('ann'))).toMatchObject({
      kind: 'failed',
      why: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('when it is broken off by its signal, also while the answer is awaited', async () => {
    const breaking = new AbortController();
    const { client } = await clientOf(() => breaking.abort());

    expect(await client.announce(announceOf('ann'), breaking.signal)).toMatchObject({
      kind: 'failed',
      why: 'interrupted',
    });
    expect(await client.announce(announceOf('ann'), AbortSignal.abort())).toMatchObject({ kind: 'failed' });
  });

  test('when the answer does not come in time, or begins and does not end', async () => {
    const silent = await clientOf(() => undefined);
    const stalled = await clientOf((_, response) => void response.write('{'));

    const results = await Promise.all([silent, stalled].map(({ client }) => client.announce(announceOf('ann'))));

    const why = expect.stringContaining(`${config.tracker.answerTimeoutMs} ms`);
    expect(results).toMatchObject([
      { kind: 'failed', why },
      { kind: 'failed', why },
    ]);
  });

  test('and the next one succeeds when the tracker is back', async () => {
    const tracker = realTracker();
    let isDown = true;
    const { client } = await clientOf((request, response) => {
      if (isDown) response.destroy();
      else return tracker(request, response);
    });
    await client.announce(announceOf('ann'));

    isDown = false;

    expect(await client.announce(announceOf('ann'))).toMatchObject({ kind: 'answered' });
  });
});

describe('an announce is refused for good', () => {
  test.each([400, 401, 403, 404, 409, 413])('when the answer is %i without a word', async status => {
    const { client } = await clientOf((_, response) => void response.writeHead(status).end('no'));

    expect(await client.announce(announceOf('ann'))).toEqual({
      kind: 'refused',
      code: `http-${status}`,
      why: `the tracker answered ${status}`,
      next: undefined,
    });
  });

  test('when the tracker explains itself', async () => {
    const error = { code: 'unauthorized', message: 'the token is wrong', next: 'say --token' };
    const { client } = await clientOf((_, response) => reply(response, 401, { error }));

    const { code, message: why, next } = error;
    expect(await client.announce(announceOf('ann'))).toEqual({ kind: 'refused', code, why, next });
  });

  test('when it would lead elsewhere: an announce with its token is not carried on', async () => {
    const { client } = await clientOf((_, response) => reply(response, 302, {}, { location: 'http://127.0.0.1:1/' }));

    expect(await client.announce(announceOf('ann'))).toMatchObject({ kind: 'refused', code: 'http-302' });
  });
});

describe('status fails', () => {
  test.each([
    ['tracker-unreachable', (_: IncomingMessage, response: ServerResponse) => reply(response, 503, {})],
    ['tracker-refused', (_: IncomingMessage, response: ServerResponse) => reply(response, 401, {})],
    ['tracker-refused', (_: IncomingMessage, response: ServerResponse) => reply(response, 200, { hello: 'world' })],
    ['tracker-unreachable', (_: IncomingMessage, response: ServerResponse) => void response.destroy()],
  ])('as %s, with what to do next', async (code, handler) => {
    const { client } = await clientOf(handler);

    await expect(client.status(JOB)).rejects.toMatchObject({ code, next: expect.any(String) });
  });

  test('as interrupted when its signal says so', async () => {
    const { client } = await clientOf(realTracker());

    await expect(client.status(JOB, AbortSignal.abort())).rejects.toMatchObject({ code: 'interrupted' });
  });
});

function realTracker(): Handler {
  const service = new TrackerService(new MemoryRosterStore('zone'), seededRng(1));
  return async (request, response) => {
    const { status, headers, body } = await routeTrackerRequest(service, {
      method: request.method ?? '',
      path: request.url ?? '',
      body: await buffer(request),
      remoteHost: request.socket.remoteAddress ?? '',
      now: 1000,
    });
    response.writeHead(status, headers).end(body);
  };
}

async function clientOf(
  handler: Handler,
  options: { readonly path?: string; readonly token?: string } = {},
): Promise<{ client: TrackerClient; server: Server }> {
  const server = createServer((request, response) => void handler(request, response));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  toClose.push(() => closed(server));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  const url = new URL(`http://127.0.0.1:${address.port}${options.path ?? ''}`);
  const client = new TrackerClient(url, options.token);
  toClose.push(() => client.close());
  return { client, server };
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise(resolve => server.close(resolve));
}

function reply(
  response: ServerResponse,
  status: number,
  json: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json));
}
