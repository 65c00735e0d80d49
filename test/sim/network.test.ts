import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRng } from '../../core/rng.ts';
import { type FlowId, Network } from '../../sim/network.ts';
import { type FairFlow, maxMinRates } from './max-min.ts';

const exact = { tolerance: 0, passOnBytes: 64 };

/** Runs until nothing flows; returns when each flow ended. */
function drain(network: Network, from: number): Map<FlowId, number> {
  const ends = new Map<FlowId, number>();
  for (let at = network.nextAt(from); at < Number.POSITIVE_INFINITY; at = network.nextAt(at)) {
    const flow = network.advance(at);
    if (flow !== undefined) ends.set(flow, at);
  }
  return ends;
}

/** A random network after a random history of starts and stops, beside what its rates should be. */
function randomRates(seed: number, tolerance: number): { rates: number[]; fair: number[]; capacities: number[] } {
  const rng = seededRng(seed);
  const network = new Network({ tolerance, passOnBytes: 64 });
  const hosts = 3 + rng.below(8);
  const capacities = Array.from({ length: hosts * 2 }, () => 50 + rng.below(200));
  for (const capacity of capacities) network.addPort(capacity);
  const live: { id: FlowId; flow: FairFlow }[] = [];
  let now = 0;
  for (let step = 0; step < 60; step += 1) {
    now += 1e-6;
    if (live.length > 0 && rng.below(3) === 0) {
      const [gone] = live.splice(rng.below(live.length), 1);
      if (gone) network.stop(gone.id, now);
    } else {
      const flow = { from: rng.below(hosts), to: hosts + rng.below(hosts), limit: 5 + rng.below(100) };
      live.push({ id: network.start({ ...flow, lengthBytes: 1e12, source: undefined }, now), flow });
    }
    network.nextAt(now);
  }
  const fair = maxMinRates(
    capacities,
    live.map(entry => entry.flow),
  );
  return { rates: live.map(entry => network.rate(entry.id)), fair, capacities };
}

describe('rates', () => {
  it('are the max-min fair ones when the tolerance is 0', () => {
    fc.assert(
      fc.property(fc.integer(), seed => {
        const { rates, fair } = randomRates(seed, 0);

        for (const [index, rate] of rates.entries()) expect(rate / (fair[index] as number)).toBeCloseTo(1, 6);
      }),
      { numRuns: 300 },
    );
  });

  it('are a third of a percent off on average, and right in sum, with the tolerance of the simulator', () => {
    let worst = 0;
    let errors = 0;
    let count = 0;
    let sum = 0;
    let fairSum = 0;
    for (let seed = 0; seed < 300; seed += 1) {
      const { rates, fair } = randomRates(seed, 0.01);
      for (const [index, rate] of rates.entries()) {
        const error = Math.abs(rate / (fair[index] as number) - 1);
        worst = Math.max(worst, error);
        errors += error;
        count += 1;
        sum += rate;
        fairSum += fair[index] as number;
      }
    }

    expect(errors / count).toBeLessThan(0.005);
    expect(worst).toBeLessThan(0.12);
    expect(Math.abs(sum / fairSum - 1)).toBeLessThan(0.001);
  });

  it('give what some flows cannot use to the others of the same sender', () => {
    const network = new Network(exact);
    const up = network.addPort(120);
    const fast = network.addPort(1000);
    const slow = network.addPort(3);
    const flows = Array.from({ length: 12 }, (_, index) =>
      network.start({ from: up, to: index < 3 ? slow : fast, lengthBytes: 1e6, limit: 1000, source: undefined }, 0),
    );

    network.nextAt(0);

    const rates = flows.map(flow => network.rate(flow));
    expect(rates.slice(0, 3)).toEqual([1, 1, 1]);
    for (const rate of rates.slice(3)) expect(rate).toBeCloseTo(13, 9);
  });
});

describe('the end of a flow', () => {
  it('comes when its bytes are through, and frees its share', () => {
    const network = new Network(exact);
    const up = network.addPort(100);
    const down = network.addPort(100);
    const short = network.start({ from: up, to: down, lengthBytes: 500, limit: 1000, source: undefined }, 0);
    const long = network.start({ from: up, to: down, lengthBytes: 1000, limit: 1000, source: undefined }, 0);

    const ends = drain(network, 0);

    expect(ends.get(short)).toBeCloseTo(10, 9);
    expect(ends.get(long)).toBeCloseTo(15, 9);
    expect(network.movedBytes).toBe(1500);
  });

  it('waits while the flow is cut off', () => {
    const network = new Network(exact);
    const flow = network.start(
      { from: network.addPort(100), to: network.addPort(100), lengthBytes: 1000, limit: 50, source: undefined },
      0,
    );
    network.nextAt(0);
    network.setLimit(flow, 0);
    expect(network.nextAt(4)).toBe(Number.POSITIVE_INFINITY);
    network.setLimit(flow, 50);

    const ends = drain(network, 10);

    expect(ends.get(flow)).toBeCloseTo(26, 9);
  });
});

describe('a flow that passes on what still arrives', () => {
  it('ends just after its source although its own way is faster', () => {
    const network = new Network(exact);
    const ports = Array.from({ length: 4 }, () => network.addPort(1000)) as [number, number, number, number];
    const source = network.start(
      { from: ports[0], to: ports[1], lengthBytes: 10_000, limit: 100, source: undefined },
      0,
    );
    network.nextAt(0);
    const next = network.start({ from: ports[2], to: ports[3], lengthBytes: 10_000, limit: 500, source }, 20);

    const ends = drain(network, 20);

    expect(ends.get(source)).toBeCloseTo(100, 9);
    expect(ends.get(next)).toBeCloseTo(100 + 64 / 500, 6);
  });

  it('is not held back by a source that is faster', () => {
    const network = new Network(exact);
    const ports = Array.from({ length: 4 }, () => network.addPort(1000)) as [number, number, number, number];
    const source = network.start(
      { from: ports[0], to: ports[1], lengthBytes: 10_000, limit: 500, source: undefined },
      0,
    );
    network.nextAt(0);
    const next = network.start({ from: ports[2], to: ports[3], lengthBytes: 10_000, limit: 100, source }, 1);

    expect(drain(network, 1).get(next)).toBeCloseTo(101, 9);
  });

  it('follows its source through a chain when that slows down', () => {
    const network = new Network(exact);
    const ports = Array.from({ length: 6 }, () => network.addPort(1000)) as number[];
    const port = (index: number) => ports[index] as number;
    const first = network.start({ from: port(0), to: port(1), lengthBytes: 10_000, limit: 200, source: undefined }, 0);
    network.nextAt(0);
    const second = network.start({ from: port(2), to: port(3), lengthBytes: 10_000, limit: 500, source: first }, 1);
    network.nextAt(1);
    const third = network.start({ from: port(4), to: port(5), lengthBytes: 10_000, limit: 500, source: second }, 2);
    for (let at = network.nextAt(2); at < 10; at = network.nextAt(at)) network.advance(at);
    network.setLimit(first, 50);

    const ends = drain(network, 10);

    expect(ends.get(first)).toBeCloseTo(10 + 8000 / 50, 6);
    expect(ends.get(second)).toBeGreaterThan(170);
    expect(ends.get(third)).toBeLessThan(171);
  });

  it('gets nothing more when its source is stopped', () => {
    const network = new Network(exact);
    const ports = Array.from({ length: 4 }, () => network.addPort(1000)) as [number, number, number, number];
    const source = network.start(
      { from: ports[0], to: ports[1], lengthBytes: 10_000, limit: 100, source: undefined },
      0,
    );
    network.nextAt(0);
    const next = network.start({ from: ports[2], to: ports[3], lengthBytes: 10_000, limit: 500, source }, 10);
    while (network.nextAt(20) < 20) network.advance(network.nextAt(20));

    network.stop(source, 20);

    expect(network.nextAt(20)).toBe(Number.POSITIVE_INFINITY);
    expect(network.stop(next, 30)).toBeLessThanOrEqual(2000);
  });
});
