import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { config } from '../../core/config.ts';
import { type LeaseAsk, LeaseClock, tokenMsOf, type ZoneLoad } from '../../core/lease-clock.ts';
import { OriginEstimate } from '../../core/origin-estimate.ts';

const { outstandingAtStart, outstandingBase, outstandingMax, outstandingPerBdp } = config.lease;
const { tokenBurst, tokenAheadMs, retryMs, retryMsMax, asksPerSecondMax } = config.lease;

test('the token time is that of a chunk on the typical link', () => {
  expect(tokenMsOf(5_000_000, 5e9)).toBe(1);
  expect(tokenMsOf(5_000_000, undefined)).toBeUndefined();
});

describe('the window', () => {
  test('is small until the first chunk came in, then the base', () => {
    const clock = newClock();
    expect(clock.window(undefined)).toBe(outstandingAtStart);

    clock.estimate.completed(undefined, 1000);

    expect(clock.window(undefined)).toBe(outstandingBase);
  });

  test('covers rate x latency of known links from the start (field/policy.md: 80 to 165 do no harm)', () => {
    const window = newClock().window(tokenMsOf(5_000_000, 5e9));

    expect(window).toBeGreaterThanOrEqual(80);
    expect(window).toBeLessThanOrEqual(165);
  });

  test('grows to the base and twice what is on its way, as completions come in', () => {
    const clock = newClock();

    for (let now = 0; now <= 2000; now += 10) clock.estimate.completed(200, now);

    expect(clock.window(undefined)).toBe(outstandingBase + outstandingPerBdp * (200 / 10 - 1));
  });

  test('has an end', () => {
    const clock = newClock();

    for (let now = 0; now <= 2000; now += 1) for (let n = 0; n < 50; n += 1) clock.estimate.completed(1000, now);

    expect(clock.window(undefined)).toBe(outstandingMax);
  });
});

describe('leases without known links', () => {
  test('a sole agent gets the whole window, and no more', () => {
    const clock = seasonedClock();
    const load = { outstanding: 0, agentCount: 1, leasingCount: 1, tokenMs: undefined };

    expect(clock.takeStarts(askOf({ wanted: 32 }), load, 100)).toEqual(new Array(outstandingBase).fill(100));
    const full = { ...load, outstanding: outstandingBase };
    expect(clock.takeStarts(askOf({ wanted: 32, held: outstandingBase }), full, 100)).toEqual([]);
  });

  test('a newcomer gets one: it may be the first of a thousand', () => {
    const load = { outstanding: 0, agentCount: 1, leasingCount: 1, tokenMs: undefined };

    expect(seasonedClock().takeStarts(askOf({ wanted: 32, isNewcomer: true }), load, 0)).toHaveLength(1);
  });

  test('several agents share the window evenly', () => {
    const load = { outstanding: 0, agentCount: 3, leasingCount: 3, tokenMs: undefined };
    const share = Math.ceil(outstandingBase / 3);

    expect(seasonedClock().takeStarts(askOf({ wanted: 32 }), load, 0)).toHaveLength(share);
    expect(seasonedClock().takeStarts(askOf({ wanted: 32, held: share }), load, 0)).toHaveLength(0);
  });

  test('more agents than the window holds get one each', () => {
    const load = { outstanding: 0, agentCount: 100, leasingCount: 100, tokenMs: undefined };

    expect(seasonedClock().takeStarts(askOf({ wanted: 32 }), load, 0)).toHaveLength(1);
    expect(seasonedClock().takeStarts(askOf({ wanted: 32, held: 1 }), load, 0)).toHaveLength(0);
  });
});

describe('leases on known links', () => {
  const crowd: ZoneLoad = { outstanding: 1, agentCount: 1000, leasingCount: 1000, tokenMs: 1 };

  test('start one chunk time apart, a small burst and what is due soon at once', () => {
    const clock = newClock();
    const starts: number[] = [];

    for (let asker = 0; asker < 100; asker += 1) starts.push(...clock.takeStarts(askOf({}), crowd, 1000));

    const burst = new Array(tokenBurst).fill(1000);
    const ahead = Array.from({ length: tokenAheadMs }, (_, index) => 1001 + index);
    expect(starts).toEqual([...burst, ...ahead]);
  });

  test('tokens that nobody takes pile up to the burst only', () => {
    const clock = newClock();
    for (let asker = 0; asker < 100; asker += 1) clock.takeStarts(askOf({}), crowd, 1000);

    const starts: number[] = [];
    for (let asker = 0; asker < 100; asker += 1) starts.push(...clock.takeStarts(askOf({}), crowd, 60_000));

    expect(starts).toHaveLength(tokenBurst + tokenAheadMs);
  });

  test('a sole agent needs no pace: it gets the whole window at once', () => {
    const alone = { outstanding: 0, agentCount: 1, leasingCount: 1, tokenMs: 400 };

    expect(newClock().takeStarts(askOf({ wanted: 5 }), alone, 0)).toEqual([0, 0, 0, 0, 0]);
  });

  test('the origin never idles, however slow the links are said to be', () => {
    const clock = newClock();
    const idle = { outstanding: 0, agentCount: 3, leasingCount: 3, tokenMs: 1e9 };
    for (let asker = 0; asker < 10; asker += 1) clock.takeStarts(askOf({}), { ...idle, outstanding: 1 }, 1000);
    expect(clock.takeStarts(askOf({}), { ...idle, outstanding: 1 }, 2000)).toEqual([]);

    expect(clock.takeStarts(askOf({}), idle, 2000)).toEqual([2000]);
  });
});

describe('the queue', () => {
  const crowd: ZoneLoad = { outstanding: outstandingBase, agentCount: 100, leasingCount: 100, tokenMs: undefined };
  const links: ZoneLoad = { ...crowd, tokenMs: 100 };

  /** How long each of `count` agents waits that queue one after another. */
  function waits(clock: LeaseClock, load: ZoneLoad, count: number, now: number): readonly number[] {
    const tickets = Array.from({ length: count }, () => clock.ticketFor(askOf({}), load, now));
    return tickets.map(ticket => clock.waitMs(ticket, load, now));
  }

  test('turns are one token apart on known links, told a little early, and within the longest wait', () => {
    const told = waits(newClock(), links, 40, 1000);

    expect(told.slice(0, 3)).toEqual([100, 200, 300].map(waitMs => waitMs - tokenAheadMs));
    expect(Math.max(...told)).toBe(retryMsMax);
  });

  test('turns come as fast as the window can fill when only the rate is known', () => {
    const clock = newClock();
    for (let now = 0; now <= 2000; now += 100) clock.estimate.completed(1000, now);

    const told = waits(clock, crowd, 3, 2000);

    const turnMs = 100 / outstandingPerBdp;
    expect(told).toEqual([turnMs, 2 * turnMs, 3 * turnMs].map(waitMs => waitMs - tokenAheadMs));
  });

  test('while nothing is known agents come back as often as the tracker bears', () => {
    const thousand = { ...crowd, agentCount: 1000, leasingCount: 1000 };
    const million = { ...crowd, agentCount: 1e6, leasingCount: 1e6 };

    expect(Math.max(...waits(newClock(), crowd, 100, 0))).toBe(retryMs);
    expect(Math.max(...waits(newClock(), thousand, 1000, 0))).toBe((1000 * 1000) / asksPerSecondMax);
    expect(Math.max(...waits(newClock(), million, 1000, 0))).toBe(retryMsMax);
  });

  test('who asks again before its turn keeps its place, however often it asks', () => {
    const clock = newClock();
    const ticket = clock.ticketFor(askOf({}), links, 1000);
    clock.ticketFor(askOf({}), links, 1000);

    expect(clock.ticketFor(askOf({ ticket }), links, 1001)).toBe(ticket);
    expect(clock.waitMs(ticket, links, 1050)).toBe(50 - tokenAheadMs);
  });

  test('who comes at its turn and gets nothing goes to the end', () => {
    const clock = newClock();
    const ticket = clock.ticketFor(askOf({}), links, 1000);
    const other = clock.ticketFor(askOf({}), links, 1000);

    expect(clock.ticketFor(askOf({ ticket }), links, 1100)).toBeGreaterThan(other);
  });

  test('a freed place goes to who queues for it, not to who happens to ask first', () => {
    const clock = seasonedClock();
    const ticket = clock.ticketFor(askOf({}), crowd, 2000);
    clock.ticketFor(askOf({}), crowd, 2000);
    const oneFree = { ...crowd, outstanding: outstandingBase - 1 };
    const turnAt = 2000 + clock.waitMs(ticket, crowd, 2000);

    expect(clock.takeStarts(askOf({}), oneFree, turnAt)).toEqual([]);
    expect(clock.takeStarts(askOf({ ticket }), oneFree, turnAt)).toEqual([turnAt]);
  });

  test('when most places are empty nobody waits for those who do not come', () => {
    const clock = seasonedClock();
    for (let asker = 0; asker < 10; asker += 1) clock.ticketFor(askOf({}), crowd, 2000);

    expect(clock.takeStarts(askOf({}), { ...crowd, outstanding: 1 }, 2001)).toEqual([2001]);
  });

  test('an idle origin serves whoever asks', () => {
    const clock = newClock();
    const slow = { ...crowd, outstanding: 0, tokenMs: 1e9 };
    for (let asker = 0; asker < 10; asker += 1) clock.ticketFor(askOf({}), slow, 2000);

    expect(clock.takeStarts(askOf({}), slow, 2001)).toEqual([2001]);
  });

  test('turns mean nothing before the pace is known', () => {
    const clock = newClock();
    clock.estimate.completed(20, 1990);
    for (let asker = 0; asker < 10; asker += 1) clock.ticketFor(askOf({}), crowd, 2000);

    expect(clock.takeStarts(askOf({}), { ...crowd, outstanding: outstandingBase - 1 }, 2001)).toEqual([2001]);
  });

  test('places of those who never come go by', () => {
    const clock = seasonedClock();
    for (let asker = 0; asker < 10; asker += 1) clock.ticketFor(askOf({}), crowd, 2000);
    const oneFree = { ...crowd, outstanding: outstandingBase - 1 };

    expect(clock.takeStarts(askOf({}), oneFree, 2001)).toEqual([]);
    expect(clock.takeStarts(askOf({}), oneFree, 60_000)).toEqual([60_000]);
  });
});

const ask = fc.record({
  wanted: fc.nat({ max: 40 }),
  held: fc.nat({ max: 10 }),
  isNewcomer: fc.boolean(),
  ticket: fc.option(fc.nat({ max: 300 }), { nil: undefined }),
});
const turn = fc.record({
  ask,
  laterMs: fc.nat({ max: 200 }),
  outstanding: fc.nat({ max: 600 }),
  leasingCount: fc.integer({ min: 1, max: 2000 }),
  tokenMs: fc.option(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { nil: undefined }),
  tookMs: fc.option(fc.nat({ max: 3000 }), { nil: undefined }),
});

test('whatever is asked, outstanding stays within the window, starts and turns are near, and storing changes nothing', () => {
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), turns => {
      const clock = newClock();
      let stored = newClock();
      let now = 0;
      for (const { ask, laterMs, outstanding, leasingCount, tokenMs, tookMs } of turns) {
        now += laterMs;
        const load = { outstanding, leasingCount, agentCount: leasingCount, tokenMs };
        stored = LeaseClock.restore(JSON.parse(JSON.stringify(stored.state)));
        for (const each of [clock, stored]) each.estimate.completed(tookMs, now);

        const starts = clock.takeStarts(ask, load, now);
        const ticket = clock.ticketFor(ask, load, now);
        const waitMs = clock.waitMs(ticket, load, now);

        expect(stored.takeStarts(ask, load, now)).toEqual(starts);
        expect(stored.ticketFor(ask, load, now)).toBe(ticket);
        expect(stored.state).toEqual(clock.state);
        expect(starts.length).toBeLessThanOrEqual(Math.max(0, clock.window(tokenMs) - outstanding));
        expect(starts.length).toBeLessThanOrEqual(ask.wanted);
        for (const startsAt of starts) {
          expect(startsAt).toBeGreaterThanOrEqual(now);
          expect(startsAt).toBeLessThanOrEqual(now + tokenAheadMs);
        }
        expect(waitMs).toBeGreaterThanOrEqual(config.announce.gapMs);
        expect(waitMs).toBeLessThanOrEqual(retryMsMax);
      }
    }),
  );
});

function newClock(): LeaseClock {
  return new LeaseClock(new OriginEstimate());
}

/** Knows the origin as far as is needed for the base window: 50 completions a second, 20 ms each. */
function seasonedClock(): LeaseClock {
  const clock = newClock();
  for (let now = 0; now <= 2000; now += 20) clock.estimate.completed(20, now);
  return clock;
}

function askOf(ask: Partial<LeaseAsk>): LeaseAsk {
  return { wanted: 1, held: 0, isNewcomer: false, ticket: undefined, ...ask };
}
