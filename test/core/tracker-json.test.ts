import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import { parseAgentId, parseBootId, parseJobId, parseZone } from '../../core/ids.ts';
import {
  announceAnswerJson,
  announceJson,
  jobStatusJson,
  parseAnnounce,
  parseAnnounceAnswer,
  parseJobStatus,
} from '../../core/tracker-json.ts';
import type { AgentProgress, Announce, AnnounceAnswer, JobStatus } from '../../core/tracker-message.ts';
import { announceOf } from './announce-of.ts';

const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,20}$/);
const bytes = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const lengthMs = fc.double({ min: 0, max: 80_000_000, noNaN: true });
const port = fc.integer({ min: 1, max: 65_535 });
const host = fc.constantFrom('10.0.0.1', 'fe80::1%eth0', 'machine-1.fleet.internal');

const progress: fc.Arbitrary<AgentProgress> = fc.record({
  bytesFromOrigin: bytes,
  bytesFromPeers: bytes,
  bytesUploaded: bytes,
  duplicateBytes: bytes,
  rateBytesPerSecond: fc.double({ min: 0, max: 1e12, noNaN: true }),
  quarantined: fc.array(
    fc.record({ agentId: id.map(parseAgentId), reason: fc.constantFrom('corrupt', 'stalled'), forMs: lengthMs }),
    { maxLength: 5 },
  ),
});

const announce: fc.Arbitrary<Announce> = fc.integer({ min: 1, max: 300 }).chain(chunkCount => {
  const chunks = fc.uniqueArray(fc.nat({ max: chunkCount - 1 }), { maxLength: 40 });
  return fc.record({
    job: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$/).map(parseJobId),
    manifestDigest: fc.stringMatching(/^[0-9a-f]{64}$/),
    chunkLengthBytes: fc.integer({ min: 1, max: 2 ** 40 }),
    agentId: id.map(parseAgentId),
    bootId: id.map(parseBootId),
    host: fc.option(host, { nil: undefined }),
    port,
    zone: id.map(parseZone),
    state: fc.constantFrom('fetching', 'seeding', 'left'),
    have: chunks.map(have => ChunkSet.of(chunkCount, have)),
    pulling: chunks,
    returned: chunks,
    leasesWanted: fc.nat({ max: 100 }),
    starving: chunks,
    lost: fc.array(id.map(parseAgentId), { maxLength: 10 }),
    peersWanted: fc.nat({ max: 100 }),
    neighbourCount: fc.nat({ max: 100 }),
    linkBytesPerSecond: fc.option(fc.integer({ min: 1, max: 1e11 }), { nil: undefined }),
    progress,
  });
});

const answer: fc.Arbitrary<AnnounceAnswer> = fc.record({
  peers: fc.array(
    fc.record({ agentId: id.map(parseAgentId), bootId: id.map(parseBootId), host, port, zone: id.map(parseZone) }),
    { maxLength: 32 },
  ),
  leases: fc.array(fc.record({ chunk: fc.nat({ max: 99 }), startsInMs: lengthMs, expiresInMs: lengthMs })),
  leaseInMs: fc.option(lengthMs, { nil: undefined }),
  announceInMs: lengthMs,
  agentCount: fc.nat({ max: 20_000 }),
});

const status: fc.Arbitrary<JobStatus> = fc.record({
  job: fc.constant(parseJobId('llama-7')),
  manifestDigest: fc.stringMatching(/^[0-9a-f]{64}$/),
  chunkCount: fc.nat({ max: 1_000_000 }),
  agents: fc.array(
    fc.record({
      agentId: id.map(parseAgentId),
      bootId: id.map(parseBootId),
      host,
      port,
      zone: id.map(parseZone),
      state: fc.constantFrom('fetching', 'seeding'),
      haveCount: fc.nat({ max: 1000 }),
      pullingCount: fc.nat({ max: 1000 }),
      neighbourCount: fc.nat({ max: 64 }),
      lastAnnounceAgoMs: lengthMs,
      progress,
    }),
    { maxLength: 5 },
  ),
  leases: fc.record({ outstanding: fc.nat(), free: fc.nat() }),
});

describe('what is written is read back', () => {
  test('an announce', () => {
    fc.assert(
      fc.property(announce, said => {
        expect(parseAnnounce(overTheWire(announceJson(said)))).toEqual(said);
      }),
    );
  });

  test('an answer', () => {
    fc.assert(
      fc.property(answer, said => {
        expect(parseAnnounceAnswer(overTheWire(announceAnswerJson(said)), 100)).toEqual(said);
      }),
    );
  });

  test('a status', () => {
    fc.assert(
      fc.property(status, said => {
        expect(parseJobStatus(overTheWire(jobStatusJson(said)))).toEqual(said);
      }),
    );
  });
});

test('what is undefined is absent on the wire', () => {
  const json = announceJson({ ...announceOf('a-1'), host: undefined });

  expect(json).not.toHaveProperty('host');
  expect(json).not.toHaveProperty('linkBytesPerSecond');
  expect(announceAnswerJson({ ...emptyAnswer, leaseInMs: undefined })).not.toHaveProperty('leaseInMs');
});

test('a field of a later version is ignored', () => {
  expect(parseAnnounce({ ...wire(), mood: 'good' })).toEqual(parseAnnounce(wire()));
});

test('an announce that says more than the limits allow is cut to them, but for leases', () => {
  const many = Array.from({ length: 500 }, (_, index) => `agent-${index}`);
  const said = announceOf('a-1', { chunkCount: 500, lost: many, starving: many.map((_, index) => index) });

  const read = parseAnnounce(overTheWire(announceJson(said)));

  expect(read.lost).toEqual(said.lost.slice(0, config.announce.lostMax));
  expect(read.starving).toEqual(said.starving.slice(0, config.announce.starvingMax));
});

test.each([
  ['a have-map of another shape', { have: '00' }],
  ['a have-map with bits beyond the last chunk', { chunkCount: 39, have: 'ff'.repeat(5) }],
  ['a have-map that is not hex', { have: 'zz'.repeat(5) }],
  ['a pulled chunk that the job does not have', { pulling: [40] }],
  ['a returned chunk that the job does not have', { returned: [40] }],
  ['a starving chunk that the job does not have', { starving: [40] }],
  ['a broken chunk index', { pulling: [1.5] }],
  ['more leases than an agent can hold', { pulling: new Array(config.announce.leasesMax + 1).fill(0) }],
  ['more lost agents than an agent has neighbours', { lost: new Array(config.announce.lostMax + 1).fill('a-2') }],
  ['a state that is none', { state: 'sleeping' }],
  ['a port that is none', { port: 0 }],
  ['a host that is a URL', { host: 'http://10.0.0.1/x' }],
  ['a digest that is none', { manifestDigest: 'abc' }],
  ['an agent id with a slash', { agentId: '../a' }],
  ['a link of no speed', { linkBytesPerSecond: 0 }],
  ['a negative count', { leasesWanted: -1 }],
  ['a job with too many chunks', { chunkCount: config.manifest.chunksMax + 1 }],
  ['no progress', { progress: undefined }],
])('an announce is refused for %s', (_, wrong) => {
  expect(() => parseAnnounce({ ...wire(), ...wrong })).toThrow(expect.objectContaining({ code: 'invalid-message' }));
});

test('an announce of no usable job is refused by its own name', () => {
  expect(() => parseAnnounce({ ...wire(), job: 'a/b' })).toThrow(expect.objectContaining({ code: 'invalid-job-id' }));
});

test.each([
  ['a lease of a chunk that the job does not have', { leases: [{ chunk: 40, startsInMs: 0, expiresInMs: 1 }] }],
  ['a peer that is none', { peers: [{ agentId: 'a-1' }] }],
  ['more peers than one answer holds', { peers: new Array(config.tracker.peersPerAnswerMax + 1).fill({}) }],
  ['a wait without end', { announceInMs: 1e12 }],
])('an answer is refused for %s', (_, wrong) => {
  const json = { ...emptyAnswer, ...wrong };

  expect(() => parseAnnounceAnswer(json, 40)).toThrow(expect.objectContaining({ code: 'invalid-message' }));
});

test('what is no message at all is refused, whatever it is', () => {
  fc.assert(
    fc.property(fc.jsonValue(), json => {
      for (const parse of [parseAnnounce, (any: unknown) => parseAnnounceAnswer(any, 40), parseJobStatus]) {
        expect(() => parse(json)).toThrow(expect.objectContaining({ code: 'invalid-message' }));
      }
    }),
  );
});

const emptyAnswer = { peers: [], leases: [], announceInMs: 3000, agentCount: 1 };

function wire(): object {
  return Object(announceJson(announceOf('a-1')));
}

function overTheWire(json: unknown): unknown {
  return JSON.parse(JSON.stringify(json));
}
