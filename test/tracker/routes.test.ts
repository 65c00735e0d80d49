import { describe, expect, test } from 'vitest';
import { config } from '../../core/config.ts';
import { seededRng } from '../../core/rng.ts';
import { announceJson, parseAnnounceAnswer, parseJobStatus } from '../../core/tracker-json.ts';
import { MemoryRosterStore } from '../../tracker/memory-roster-store.ts';
import type { RosterStore } from '../../tracker/roster-store.ts';
import { routeTrackerRequest, type TrackerReply, type TrackerRequest } from '../../tracker/routes.ts';
import { TrackerService } from '../../tracker/service.ts';
import { announceOf } from '../core/announce-of.ts';

const ANNOUNCE = '/v1/jobs/llama-7/announce';
const STATUS = '/v1/jobs/llama-7/status';

test('an announce is answered with peers and leases', async () => {
  const service = newService();

  const reply = await post(service, announceJson(announceOf('ann')));

  expect(reply).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
  expect(parseAnnounceAnswer(JSON.parse(reply.body), 40)).toMatchObject({ leases: [{ chunk: 0 }], agentCount: 1 });
});

test('an agent that tells no address has the one that it called from', async () => {
  for (const [remoteHost, host] of [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['fe80::1', 'fe80::1'],
  ] as const) {
    const service = newService();
    await post(service, announceJson({ ...announceOf('ann'), host: undefined }), { remoteHost });

    expect((await statusOf(service)).agents).toMatchObject([{ host }]);
  }
});

test('an agent that tells an address has that one', async () => {
  const service = newService();
  await post(service, announceJson(announceOf('ann', { host: 'machine-1' })), { remoteHost: '10.0.0.1' });

  expect((await statusOf(service)).agents).toMatchObject([{ host: 'machine-1' }]);
});

describe('refused with what is wrong and what to do', () => {
  test.each([
    ['a body that is no JSON', 'nonsense', 'invalid-message'],
    ['a body that is no UTF-8', new Uint8Array([0xff, 0xfe]), 'invalid-message'],
    ['an empty body', '', 'invalid-message'],
    ['an announce of something else', '{}', 'invalid-message'],
    [
      'an announce of another job',
      JSON.stringify(announceJson(announceOf('ann', { job: 'video' }))),
      'invalid-message',
    ],
  ])('%s: 400', async (_, body, code) => {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;

    expect(refusal(await ask(newService(), { method: 'POST', path: ANNOUNCE, body: bytes }))).toMatchObject({
      status: 400,
      code,
    });
  });

  test('a job id that cannot be one: 400', async () => {
    for (const [method, verb] of [
      ['POST', 'announce'],
      ['GET', 'status'],
    ] as const) {
      const reply = await ask(newService(), { method, path: `/v1/jobs/a..b/${verb}` });

      expect(refusal(reply)).toMatchObject({ status: 400, code: 'invalid-job-id', next: expect.any(String) });
    }
  });

  test.each([
    '/',
    '/v1/jobs',
    '/v1/jobs/llama-7',
    '/v1/jobs/llama-7/leases',
    '/v1/jobs/a/b/status',
    '/v2/jobs/a/status',
  ])('the path %s: 404', async path => {
    expect(refusal(await ask(newService(), { path }))).toMatchObject({ status: 404, code: 'unknown-route' });
  });

  test('the status of a job that nobody announces: 404', async () => {
    expect(refusal(await ask(newService(), { path: STATUS }))).toMatchObject({
      status: 404,
      code: 'unknown-job',
      message: expect.stringContaining('llama-7'),
    });
  });

  test('the wrong method: 405, naming the right one', async () => {
    expect(await ask(newService(), { method: 'GET', path: ANNOUNCE })).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    });
    expect(await ask(newService(), { method: 'POST', path: STATUS })).toMatchObject({
      status: 405,
      headers: { allow: 'GET' },
    });
  });

  test('other bytes under the job id of live agents: 409', async () => {
    const service = newService();
    await post(service, announceJson(announceOf('ann')));

    const reply = await post(service, announceJson(announceOf('bob', { manifestDigest: 'cd'.repeat(32) })));

    expect(refusal(reply)).toMatchObject({ status: 409, code: 'different-manifest', next: expect.any(String) });
  });

  test('a run that a newer one has replaced: 409', async () => {
    const service = newService();
    await post(service, announceJson(announceOf('ann', { bootId: 'old' })));
    await post(service, announceJson(announceOf('ann', { bootId: 'new' })));

    const reply = await post(service, announceJson(announceOf('ann', { bootId: 'old' })));

    expect(refusal(reply)).toMatchObject({ status: 409, code: 'replaced', next: expect.any(String) });
  });

  test('a body that is too large: 413', async () => {
    const body = new Uint8Array(config.tracker.announceBytesMax + 1);

    expect(refusal(await ask(newService(), { method: 'POST', path: ANNOUNCE, body }))).toMatchObject({ status: 413 });
  });

  test('one zone too many: 429, saying when to come again', async () => {
    const service = newService();
    for (let index = 0; index < config.tracker.zonesMax; index += 1) {
      await post(service, announceJson(announceOf(`a-${index}`, { zone: `az-${index}` })));
    }

    const reply = await post(service, announceJson(announceOf('ann', { zone: 'one-more' })));

    expect(refusal(reply)).toMatchObject({ status: 429, code: 'full' });
    expect(reply.headers['retry-after']).toBe(String(config.tracker.fullRetryMs / 1000));
  });

  test('a store that fails: 500, with the cause for the log only', async () => {
    const cause = new Error('the table is gone');
    const broken: RosterStore = { change: () => Promise.reject(cause), read: () => Promise.reject(cause) };
    const service = new TrackerService(broken, seededRng(1));

    for (const reply of [await post(service, announceJson(announceOf('ann'))), await ask(service, { path: STATUS })]) {
      expect(refusal(reply)).toMatchObject({ status: 500, code: 'internal' });
      expect(reply.cause).toBe(cause);
      expect(reply.body).not.toContain('table');
    }
  });
});

function newService(): TrackerService {
  return new TrackerService(new MemoryRosterStore('zone'), seededRng(1));
}

function ask(service: TrackerService, request: Partial<TrackerRequest>): Promise<TrackerReply> {
  const empty = { method: 'GET', path: '/', body: new Uint8Array(), remoteHost: '10.0.0.9', now: 1000 };
  return routeTrackerRequest(service, { ...empty, ...request });
}

function post(service: TrackerService, json: unknown, request: Partial<TrackerRequest> = {}): Promise<TrackerReply> {
  const body = new TextEncoder().encode(JSON.stringify(json));
  return ask(service, { method: 'POST', path: ANNOUNCE, body, ...request });
}

async function statusOf(service: TrackerService): Promise<ReturnType<typeof parseJobStatus>> {
  return parseJobStatus(JSON.parse((await ask(service, { path: STATUS })).body));
}

function refusal(reply: TrackerReply): object {
  return { status: reply.status, ...JSON.parse(reply.body).error };
}
