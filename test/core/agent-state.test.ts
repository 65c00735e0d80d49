import { describe, expect, it } from 'vitest';
import type { AgentAction } from '../../core/agent-action.ts';
import { AgentState } from '../../core/agent-state.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { config } from '../../core/config.ts';
import { parseAgentId, parseBootId, parseZone } from '../../core/ids.ts';
import { seededRng } from '../../core/rng.ts';
import type { AnnounceAnswer } from '../../core/tracker-message.ts';

const CHUNKS = 8;
const a = parseAgentId('a');
const b = parseAgentId('b');
const c = parseAgentId('c');
const origin = { kind: 'origin' } as const;
const fromB = { kind: 'peer', peer: b } as const;

function newState(tracker: 'expected' | 'none', have: readonly number[]): AgentState {
  const settings = { self: a, chunkCount: CHUNKS, tracker, flowsPerLink: 1 };
  return new AgentState(settings, ChunkSet.of(CHUNKS, have), 0, seededRng(1));
}

function helloOf(agentId: typeof a, have: readonly number[]) {
  const from = { agentId, bootId: parseBootId('b1'), host: 'h', port: 1, zone: parseZone('z') };
  return { kind: 'hello' as const, from, have: ChunkSet.of(CHUNKS, have), arriving: [] };
}

function answer(leases: readonly number[]): AnnounceAnswer {
  return {
    peers: [],
    leases: leases.map(chunk => ({ chunk, startsInMs: 0, expiresInMs: 10_000 })),
    leaseInMs: undefined,
    announceInMs: 3000,
    agentCount: 2,
  };
}

function kinds(actions: readonly AgentAction[]): readonly string[] {
  return actions.map(action => action.kind);
}

function find<K extends AgentAction['kind']>(
  actions: readonly AgentAction[],
  kind: K,
): Extract<AgentAction, { kind: K }> | undefined {
  return actions.find((action): action is Extract<AgentAction, { kind: K }> => action.kind === kind);
}

describe('an agent with a tracker', () => {
  it('announces at once, pulls what it is leased, and completes', () => {
    const state = newState('expected', [0, 1, 2, 3, 4, 5]);
    expect(find(state.handle({ kind: 'woke' }, 0), 'announce')?.announce.leasesWanted).toBe(2);
    const pulls = state.handle({ kind: 'tracker-answered', answer: answer([6, 7]) }, 10);
    expect(pulls.filter(action => action.kind === 'pull-from-origin').length).toBe(2);
    state.handle({ kind: 'chunk-verified', chunk: 6, source: origin, lengthBytes: 1 }, 20);
    const last = state.handle({ kind: 'chunk-verified', chunk: 7, source: origin, lengthBytes: 1 }, 30);
    expect(kinds(last)).toContain('complete');
    expect(find(last, 'announce')?.announce.state).toBe('seeding');
  });

  it('starts a lease no sooner than the tracker said', () => {
    const state = newState('expected', []);
    state.handle({ kind: 'woke' }, 0);
    const paced = { ...answer([]), leases: [{ chunk: 3, startsInMs: 40, expiresInMs: 10_000 }] };
    expect(kinds(state.handle({ kind: 'tracker-answered', answer: paced }, 10))).not.toContain('pull-from-origin');
    expect(state.nextDeadline()).toBeLessThanOrEqual(50);
    expect(kinds(state.handle({ kind: 'woke' }, 49))).not.toContain('pull-from-origin');
    expect(find(state.handle({ kind: 'woke' }, 50), 'pull-from-origin')?.chunk).toBe(3);
  });

  it('gives a lease back after too many tries, and says so', () => {
    const state = newState('expected', []);
    state.handle({ kind: 'woke' }, 0);
    state.handle({ kind: 'tracker-answered', answer: { ...answer([2]), leaseInMs: 1000 } }, 1);
    let now = 1;
    let returned: readonly number[] = [];
    for (let step = 0; step < 400 && returned.length === 0; step += 1) {
      const actions = [
        ...state.handle(
          { kind: 'chunk-failed', chunk: 2, source: origin, failure: { kind: 'busy', retryAfterMs: undefined } },
          now,
        ),
        ...state.handle({ kind: 'woke' }, now + 500),
      ];
      now += 500;
      const announce = find(actions, 'announce');
      if (!announce) continue;
      returned = announce.announce.returned;
      state.handle({ kind: 'tracker-answered', answer: { ...answer([]), leaseInMs: 1000 } }, now);
    }
    expect(returned).toEqual([2]);
  });
});

describe('the trade', () => {
  it('offers what it has to a neighbour that lacks it, and serves on request', () => {
    const state = newState('expected', [5]);
    state.handle({ kind: 'woke' }, 0);
    const told = find(state.handle({ kind: 'peer-connected', hello: helloOf(b, []) }, 5), 'tell');
    expect(told?.message).toEqual({ kind: 'offer', chunk: 5 });
    expect(find(state.handle({ kind: 'upload-asked', upload: 1, peer: b, chunk: 5 }, 6), 'serve-chunk')?.upload).toBe(
      1,
    );
  });

  it('takes an offer of what it lacks and declines what it has or receives', () => {
    const state = newState('expected', [5]);
    state.handle({ kind: 'woke' }, 0);
    state.handle({ kind: 'peer-connected', hello: helloOf(b, [1, 5]) }, 1);
    const taken = state.handle({ kind: 'peer-said', peer: b, message: { kind: 'offer', chunk: 1 } }, 2);
    expect(find(taken, 'request-chunk')).toEqual({ kind: 'request-chunk', peer: b, chunk: 1 });
    for (const chunk of [1, 5]) {
      const declined = state.handle({ kind: 'peer-said', peer: b, message: { kind: 'offer', chunk } }, 3);
      expect(find(declined, 'tell')?.message).toEqual({ kind: 'decline', chunk, because: 'had' });
    }
  });

  it('offers a chunk on while it still arrives, and breaks off when its own source fails', () => {
    const state = newState('expected', []);
    state.handle({ kind: 'woke' }, 0);
    state.handle({ kind: 'peer-connected', hello: helloOf(b, [1]) }, 1);
    state.handle({ kind: 'peer-connected', hello: helloOf(c, []) }, 1);
    state.handle({ kind: 'peer-said', peer: b, message: { kind: 'offer', chunk: 1 } }, 2);
    const onward = state.handle({ kind: 'chunk-progressed', chunk: 1, source: fromB, passedOn: false }, 3);
    expect(find(onward, 'tell')).toMatchObject({ peer: c, message: { kind: 'offer', chunk: 1 } });
    state.handle({ kind: 'upload-asked', upload: 9, peer: c, chunk: 1 }, 4);
    const broken = state.handle({ kind: 'chunk-failed', chunk: 1, source: fromB, failure: { kind: 'broken' } }, 5);
    expect(find(broken, 'stop-upload')?.upload).toBe(9);
    expect(state.have.size).toBe(0);
  });

  it('asks by itself when nobody offers what neighbours have', () => {
    const state = newState('expected', []);
    state.handle({ kind: 'woke' }, 0);
    state.handle({ kind: 'peer-connected', hello: helloOf(b, [3]) }, 1);
    const asked = state.handle({ kind: 'woke' }, config.exchange.askAfterMs + config.exchange.housekeepingMs);
    expect(find(asked, 'request-chunk')).toEqual({ kind: 'request-chunk', peer: b, chunk: 3 });
  });

  it('holds a slot until the receiver says it has the chunk', () => {
    const state = newState('expected', [0, 1, 2, 3, 4, 5, 6, 7]);
    state.handle({ kind: 'woke' }, 0);
    state.handle({ kind: 'peer-connected', hello: helloOf(b, []) }, 1);
    const asked = [0, 1, 2, 3, 4, 5, 6, 7].flatMap(chunk =>
      state.handle({ kind: 'upload-asked', upload: chunk, peer: b, chunk }, 2),
    );
    const served = asked.filter(action => action.kind === 'serve-chunk').length;
    expect(asked.filter(action => action.kind === 'refuse-upload').length).toBe(
      8 - served - config.exchange.uploadQueueMax,
    );
    const sent = state.handle({ kind: 'upload-ended', upload: 0, sentBytes: 1, complete: true }, 3);
    expect(kinds(sent)).not.toContain('serve-chunk');
    const update = { kind: 'update', have: [0], arriving: [], dropped: [] } as const;
    expect(kinds(state.handle({ kind: 'peer-said', peer: b, message: update }, 4))).toContain('serve-chunk');
  });
});

describe('a peer that does wrong', () => {
  function receiving(): AgentState {
    const state = newState('expected', []);
    state.handle({ kind: 'woke' }, 0);
    state.handle({ kind: 'peer-connected', hello: helloOf(b, [1]) }, 1);
    state.handle({ kind: 'peer-said', peer: b, message: { kind: 'offer', chunk: 1 } }, 2);
    return state;
  }

  it('is quarantined for good when bytes it had verified are wrong', () => {
    const state = receiving();
    const failure = { kind: 'corrupt', passedOn: false } as const;
    const actions = state.handle({ kind: 'chunk-failed', chunk: 1, source: fromB, failure }, 3);
    expect(find(actions, 'note-quarantine')).toMatchObject({
      peer: b,
      reason: 'corrupt',
      forMs: config.exchange.corruptQuarantineMs,
    });
    expect(find(actions, 'disconnect')?.peer).toBe(b);
    expect(state.admits(b, 1000)).toBe('quarantined');
    expect(state.have.size).toBe(0);
  });

  it('is welcome again after a while when it only passed the bytes on', () => {
    const state = receiving();
    const failure = { kind: 'corrupt', passedOn: true } as const;
    state.handle({ kind: 'chunk-failed', chunk: 1, source: fromB, failure }, 3);
    expect(state.admits(b, 4)).toBe('quarantined');
    expect(state.admits(b, 3 + config.exchange.strikeQuarantineMs)).toBe('accept');
  });

  it('is given up and quarantined when no byte moves any more', () => {
    const state = receiving();
    const late = state.handle({ kind: 'woke' }, 2 + config.exchange.stalledMs + config.exchange.housekeepingMs);
    expect(find(late, 'cancel-transfer')).toMatchObject({ chunk: 1, source: fromB });
    expect(find(late, 'note-quarantine')?.reason).toBe('stalled');
  });
});

describe('a peer that passes on what does not come', () => {
  it('has the time to say so before it is given up', () => {
    const state = newState('expected', []);
    state.handle({ kind: 'woke' }, 0);
    state.handle({ kind: 'peer-connected', hello: helloOf(b, []) }, 1);
    state.handle({ kind: 'peer-said', peer: b, message: { kind: 'offer', chunk: 1 } }, 2);
    state.handle({ kind: 'chunk-progressed', chunk: 1, source: fromB, passedOn: true }, 3);

    const { stalledMs, passedOnGraceMs, housekeepingMs } = config.exchange;
    const waiting = state.handle({ kind: 'woke' }, 3 + stalledMs + housekeepingMs);
    expect(kinds(waiting)).not.toContain('cancel-transfer');
    const told = state.handle({ kind: 'chunk-failed', chunk: 1, source: fromB, failure: { kind: 'gone' } }, 5200);
    expect(kinds(told)).not.toContain('note-quarantine');

    state.handle({ kind: 'peer-said', peer: b, message: { kind: 'offer', chunk: 2 } }, 5300);
    state.handle({ kind: 'chunk-progressed', chunk: 2, source: fromB, passedOn: true }, 5301);
    const late = state.handle({ kind: 'woke' }, 5301 + stalledMs + passedOnGraceMs);
    expect(kinds(late)).toContain('cancel-transfer');
  });
});

describe('an origin that does wrong', () => {
  it('fails the job when its bytes have the wrong hash again and again, and names the chunk', () => {
    const state = newState('none', []);
    let actions = state.handle({ kind: 'woke' }, 0);
    let now = 0;
    while (!find(actions, 'fail') && now < 10_000) {
      now += 100;
      const failure = { kind: 'corrupt', passedOn: false } as const;
      actions = state.handle({ kind: 'chunk-failed', chunk: 4, source: origin, failure }, now);
      if (!find(actions, 'fail')) actions = state.handle({ kind: 'woke' }, now);
    }
    expect(find(actions, 'fail')?.failure).toEqual({ kind: 'origin-corrupt', chunk: 4 });
    expect(state.nextDeadline()).toBeUndefined();
  });

  it('fails the job when it refuses and no peer has what is missing, but not before the grace', () => {
    const state = newState('none', []);
    state.handle({ kind: 'woke' }, 0);
    for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
      state.handle({ kind: 'chunk-failed', chunk, source: origin, failure: { kind: 'refused', why: 'forbidden' } }, 10);
    }
    expect(kinds(state.handle({ kind: 'woke' }, config.origin.refusedGraceMs))).not.toContain('fail');
    const late = state.handle({ kind: 'woke' }, 10 + config.origin.refusedGraceMs + config.exchange.housekeepingMs);
    expect(find(late, 'fail')?.failure).toMatchObject({ kind: 'origin-refused', why: 'forbidden' });
  });
});

describe('an agent without a tracker', () => {
  it('pulls everything from the origin by itself', () => {
    const state = newState('none', []);
    const pulls = state.handle({ kind: 'woke' }, 0).filter(action => action.kind === 'pull-from-origin');
    expect(pulls.length).toBe(CHUNKS);
    expect(state.rung(0)).toBe('origin-alone');
  });
});

describe('a job without chunks', () => {
  it('is complete at once', () => {
    const settings = { self: a, chunkCount: 0, tracker: 'expected', flowsPerLink: 1 } as const;
    const state = new AgentState(settings, new ChunkSet(0), 0, seededRng(1));
    expect(kinds(state.handle({ kind: 'woke' }, 0))).toContain('complete');
  });
});
